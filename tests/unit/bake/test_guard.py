"""Tests of ollama_gpu.bake.guard: it waits for its bake to end and removes a builder that is left."""

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
    """A process in place of a bake. It ends when its standard input is closed."""
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


def test_the_builder_of_an_interrupted_bake_is_removed(bake: subprocess.Popen[bytes], plan: Path) -> None:
    released: list[Path] = []
    bake_maker = maker(bake)
    end(bake)
    assert guard.watch(plan, bake_maker, lambda each: released.append(each) or 0, settle_seconds=0) == 0
    assert released == [plan, plan]  # the second call is for resources that appear after the first
    assert not plan.exists()


def test_nothing_is_removed_after_a_bake_that_cleaned_up(bake: subprocess.Popen[bytes], plan: Path) -> None:
    bake_maker = maker(bake)
    plan.unlink()
    end(bake)
    assert guard.watch(plan, bake_maker, lambda _: pytest.fail("there is nothing to remove")) == 0


def test_the_log_is_kept_when_the_removal_fails(bake: subprocess.Popen[bytes], plan: Path) -> None:
    bake_maker = maker(bake)
    log = plan.with_suffix(".log")
    log.write_text("why")
    end(bake)
    assert guard.watch(plan, bake_maker, lambda _: 2, settle_seconds=0) == 2
    assert log.exists()
    assert guard.watch(plan, bake_maker, lambda _: 0, settle_seconds=0) == 0
    assert not log.exists()


def test_the_guard_waits_in_a_separate_session_while_the_bake_runs(bake: subprocess.Popen[bytes], plan: Path) -> None:
    process = psutil.Process(guard.start(plan, maker(bake).label))
    try:
        with pytest.raises(psutil.TimeoutExpired):
            process.wait(4 * guard.POLL_SECONDS)
        assert os.getsid(process.pid) == process.pid
    finally:
        plan.unlink()
        end(bake)
        process.wait(30)
