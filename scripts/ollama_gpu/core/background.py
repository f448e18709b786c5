"""Run one background process per folder: start it once, find it again, stop it.

The process runs in a session of its own, so that Ctrl-C in the driver does not reach it. ``<name>.json`` records which
process it is. The operating system reuses process ids, so the start time and the command line must match as well.
"""

from __future__ import annotations

import errno
import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from ollama_gpu.core import files
from ollama_gpu.core.errors import UserError

STOP_SECONDS = 20.0
LOG_TAIL_LINES = 15
CLOCK_SLACK_SECONDS = 60.0  # psutil derives the start time from the boot time, which clock corrections move
_POLL_SECONDS = 0.1
_EXEC_SECONDS = 0.001


@dataclass(frozen=True)
class Record:
    """The process that a folder's record names. ``details``: what its starter recorded besides, such as a port."""

    pid: int
    created: float
    details: dict[str, Any] = field(default_factory=dict)

    def process(self, module: str) -> psutil.Process | None:
        """The recorded process; None if it ended, even if its process id is in use again."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            same_time = abs(process.create_time() - self.created) < CLOCK_SLACK_SECONDS
            return process if same_time and module in process.cmdline() else None
        except psutil.Error:
            return None


class BackgroundProcess:
    """The process ``python -m <module>`` that belongs to ``folder``. ``title`` names it in error messages."""

    def __init__(self, folder: Path, name: str, module: str, title: str) -> None:
        self.folder = folder
        self.log = folder / f"{name}.log"
        self._record_file = folder / f"{name}.json"
        self._lock = folder / f"{name}.lock"
        self._module = module
        self._title = title

    def record(self) -> Record | None:
        """The record of the process, if the process is alive."""
        record = self._read()
        return record if record is not None and record.process(self._module) is not None else None

    def start(
        self,
        arguments: Sequence[str],
        details: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        cwd: Path = Path("/"),
    ) -> subprocess.Popen[bytes]:
        """Start the process and record it. The caller holds `locked` and knows that no process is running.

        ``cwd``: `python -m` imports from it first, so the default is a folder without Python files.
        Raises UserError when the folder cannot be written.
        """
        with self.writing():
            if self.log.exists():
                self.log.replace(self.log.with_suffix(".log.1"))
            with self.log.open("wb") as log:
                child = subprocess.Popen(
                    [sys.executable, "-m", self._module, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    cwd=cwd,
                    env=environment,
                    pass_fds=pass_fds,
                )
            try:
                started = psutil.Process(child.pid)
                created = started.create_time()
                # For a moment after exec, the command line by which `Record.process` decides is empty.
                with suppress(psutil.Error):  # it has ended, which `wait` reports
                    while self._module not in started.cmdline():
                        time.sleep(_EXEC_SECONDS)
                files.replace(self._record_file, json.dumps({"pid": child.pid, "created": created, **(details or {})}))
            except (OSError, psutil.Error):
                child.kill()  # without a record, no later command could find it
                child.wait()
                raise
        return child

    def wait(self, pid: int, ready: Callable[[], bool], seconds: float) -> None:
        """Return when ``ready`` holds. Raises UserError, with the end of the log, if it does not within ``seconds``."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not _alive(pid):
                raise UserError(
                    f"{self._title} ended while starting. The end of its log:\n{self.log_tail()}",
                    f"The whole log is {self.log}.",
                )
            if time.monotonic() > deadline:
                raise UserError(
                    f"{self._title} (pid {pid}) did not start within {seconds:.0f} s."
                    f" The end of its log:\n{self.log_tail()}",
                    "Stop it and try again: make local-down",
                )
            time.sleep(_POLL_SECONDS)

    def abandon(self, child: subprocess.Popen[bytes]) -> None:
        """Kill a process that did not start, and forget it."""
        if child.poll() is None:
            child.kill()
        child.wait()
        self._record_file.unlink(missing_ok=True)

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """Stop the process, by SIGKILL after ``seconds``, and return whether one was running."""
        if not self._record_file.exists():
            return False
        with self.locked():
            record = self._read()
            process = record.process(self._module) if record else None
            if process is not None:
                _end(process, seconds)
            self._record_file.unlink(missing_ok=True)
            return process is not None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock. Of two commands that start the process at once, the second finds the first's."""
        with self.writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self._lock.open("w", encoding="utf-8")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an OSError of the folder into a UserError."""
        try:
            yield
        except OSError as error:
            full = error.errno == errno.ENOSPC
            remedy = "Free some disk space." if full else "Make the folder writable, or choose another."
            reason = error.strerror or error
            raise UserError(f"{self._title} cannot write to {self.folder}: {reason}.", remedy) from error

    def log_tail(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            return f"(not readable: {error})"
        return "\n".join(lines[-LOG_TAIL_LINES:]) or "(empty)"

    def _read(self) -> Record | None:
        try:
            values = json.loads(self._record_file.read_text(encoding="utf-8"))
            return Record(values.pop("pid"), values.pop("created"), values)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError, LookupError, AttributeError):  # cut short by a full disk
            return None


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _end(process: psutil.Process, seconds: float) -> None:
    """Terminate the process, and kill it after ``seconds``. A zombie has ended, even if its parent never reaps it."""
    with suppress(psutil.NoSuchProcess):
        for end in (process.terminate, process.kill):
            end()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                with suppress(psutil.TimeoutExpired):
                    process.wait(_POLL_SECONDS)
                    return
                if process.status() == psutil.STATUS_ZOMBIE:
                    with suppress(psutil.TimeoutExpired):
                        process.wait(0)  # reaps it if it is a child of this process
                    return
