"""The guard waits for its bake, and removes what that left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ollama_gpu.bake import guard
from ollama_gpu.bake.builders import Maker


@pytest.fixture
def bake() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for a bake; it ends when its standard input does."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "ollama-gpu-bake-local-1.json"
    path.write_text("{}")
    return path


def maker(process: subprocess.Popen[bytes]) -> Maker:
    return Maker(socket.gethostname(), process.pid, int(psutil.Process(process.pid).create_time()))


def end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()
    process.wait()


def test_what_an_ended_bake_left_is_removed(bake: subprocess.Popen[bytes], plan: Path) -> None:
    released: list[Path] = []
    who = maker(bake)
    end(bake)
    assert guard.watch(plan, who, lambda left: released.append(left) or 0, settle_seconds=0) == 0
    assert released == [plan, plan]  # the second time for what the first one came too early for
    assert not plan.exists()


def test_a_bake_that_cleaned_up_itself_is_left_in_peace(bake: subprocess.Popen[bytes], plan: Path) -> None:
    who = maker(bake)
    plan.unlink()
    end(bake)
    assert guard.watch(plan, who, lambda _: pytest.fail("there is nothing to remove")) == 0


def test_the_log_of_a_removal_that_failed_stays(bake: subprocess.Popen[bytes], plan: Path) -> None:
    who = maker(bake)
    log = plan.with_suffix(".log")
    log.write_text("why")
    end(bake)
    assert guard.watch(plan, who, lambda _: 2, settle_seconds=0) == 2
    assert log.exists()
    assert guard.watch(plan, who, lambda _: 0, settle_seconds=0) == 0
    assert not log.exists()


def test_it_waits_in_a_session_of_its_own_as_long_as_the_bake_runs(bake: subprocess.Popen[bytes], plan: Path) -> None:
    process = psutil.Process(guard.start(plan, maker(bake).label))
    try:
        with pytest.raises(psutil.TimeoutExpired):
            process.wait(4 * guard.POLL_SECONDS)
        assert os.getsid(process.pid) == process.pid
    finally:
        plan.unlink()
        end(bake)
        process.wait(30)
