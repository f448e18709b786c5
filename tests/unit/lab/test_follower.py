"""One follower of a lab: its lock says whether it runs, and it can be found and ended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.lab.follower import Follower

HOLD = """
import sys, time
from pathlib import Path
from ollama_gpu.lab.follower import Follower
with Follower(Path(sys.argv[1])).living():
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is the follower of the folder."""
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_nobody_follows_an_empty_folder(tmp_path: Path) -> None:
    assert Follower(tmp_path).running() is None
    assert Follower(tmp_path).stop() is False


def test_a_running_one_is_found_by_its_pid(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert Follower(tmp_path).running() == holder.pid


def test_there_is_only_one(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(UserError, match="already"), Follower(tmp_path).living():
        pass


def test_it_is_ended(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    assert Follower(tmp_path).stop() is True
    assert holder.wait(10) != 0
    assert Follower(tmp_path).running() is None


def test_one_that_was_killed_is_not_taken_for_running(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert Follower(tmp_path).running() is None


def test_being_looked_for_while_it_starts_does_not_hinder_it(tmp_path: Path) -> None:
    (tmp_path / "follow.lock").touch()
    follower = Follower(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while follower.running() != child.pid:
            assert child.poll() is None, "it gave up"
            assert time.monotonic() < deadline
    finally:
        child.kill()
        child.wait()


def test_one_that_cannot_start_is_said_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no environment"):
        Follower(tmp_path).start("no-such-environment")
