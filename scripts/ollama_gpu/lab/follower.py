"""The background process that keeps the lab like the embedded AWS says: started, found and stopped.

It holds the lock of its folder for as long as it lives: that, and not a pid, says whether it runs.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ollama_gpu.errors import UserError
from ollama_gpu.paths import make_folder

from . import execution

MODULE = "ollama_gpu.lab.follow"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
_LOCK_SECONDS = 2.0
_POLL_SECONDS = 0.1


class Follower:
    """The follower whose lock and log lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "follow.log"
        self._lock = folder / "follow.lock"

    def running(self) -> int | None:
        """The follower's pid, None when none runs."""
        if not self._lock.exists():
            return None
        with self._lock.open("r+", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = lock.read().strip()
                return int(text) if text.isdigit() else None
        return None

    def start(self, environment: str) -> int:
        """Start it, or find it running; returns its pid. Raises UserError with the end of its log when it ends."""
        if pid := self.running():
            return pid
        make_folder(self.folder)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", MODULE, "--env", environment],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the driver does not reach it
            )
        deadline = time.monotonic() + START_SECONDS
        while self.running() is None:
            if child.poll() is not None or time.monotonic() > deadline:
                raise UserError(
                    f"The lab's follower did not start:\n{execution.tail(self.log)}", f"The whole log is {self.log}."
                )
            time.sleep(_POLL_SECONDS)
        return child.pid

    def stop(self) -> bool:
        """End it and say whether one was running."""
        pid = self.running()
        if pid is None:
            return False
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.running() is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += STOP_SECONDS
            time.sleep(_POLL_SECONDS)
        return True

    @contextmanager
    def living(self) -> Iterator[None]:
        """Be the follower of this folder. Raises UserError when there is one already."""
        with self._lock.open("a+", encoding="utf-8") as lock:
            deadline = time.monotonic() + _LOCK_SECONDS
            while not _taken(lock):
                if time.monotonic() > deadline:  # before that it may be a short look of `running`
                    raise UserError("A follower of this lab runs already.", "Leave it to it.")
                time.sleep(_POLL_SECONDS)
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
