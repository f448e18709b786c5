"""Runs long commands of the lab: the output goes to a log, and the progress view shows that they are running."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.side_by_side import Cancelled, cancelled
from ollama_gpu.terraform.progress import ProgressView

from .how_far import HowFar, LastLine

TAIL_LINES = 12
_TICK_SECONDS = 0.2
_END_SECONDS = 10.0


def execute(
    command: Sequence[str],
    what: str,
    log: Path,
    view: ProgressView,
    environment: Mapping[str, str] | None = None,
    how_far: HowFar | None = None,
) -> None:
    """Run a command and append its output to ``log``; ``how_far`` reads the output for the view.

    Raises UserError with the end of the output when the command fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output, log.open("rb") as written:
        began = output.tell()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        except FileNotFoundError as error:
            raise UserError(f"{what} needs the program {command[0]}, which is not installed.", "Install it.") from error
        try:
            written.seek(began)
            follower = _Follower(written, how_far or LastLine())
            while True:
                try:
                    status = child.wait(_TICK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    if cancelled():
                        raise Cancelled(what) from None
                    view.detail(follower.text())
                    view.tick()
        except BaseException:
            _end(child)
            raise
    if status:
        raise UserError(f"{what} failed (exit status {status}):\n{tail(log, began)}", f"The full log is {log}.")


def wait_for(condition: Callable[[], bool], what: str, seconds: float, remedy: str, view: ProgressView) -> None:
    """Wait until ``condition`` holds. Raises UserError with ``remedy`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise UserError(f"Timed out after {seconds:.0f} s waiting for {what}.", remedy)
        if cancelled():
            raise Cancelled(f"Waiting for {what}")
        view.tick()
        time.sleep(_TICK_SECONDS)


def tail(log: Path, start: int = 0, lines: int = TAIL_LINES) -> str:
    """Return the last lines of a log after the byte ``start``, indented."""
    with log.open("rb") as stream:
        stream.seek(start)
        text = stream.read().decode("utf-8", "replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (no output)"


class _Follower:
    """Reads the lines that a running command appends to its log."""

    def __init__(self, written: IO[bytes], how_far: HowFar) -> None:
        self._written = written
        self._how_far = how_far
        self._partial = b""

    def text(self) -> str:
        *lines, self._partial = (self._partial + self._written.read()).split(b"\n")
        for line in lines:
            # Programs redraw a line with carriage returns; its last form counts.
            self._how_far.read(line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", "replace"))
        return self._how_far.text()


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
