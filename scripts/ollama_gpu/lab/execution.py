"""Runs the long commands of the lab: their words go to a log, the person sees that they are alive."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView

TAIL_LINES = 12
_TICK_SECONDS = 0.2
_END_SECONDS = 10.0


def execute(
    command: Sequence[str], what: str, log: Path, view: ProgressView, environment: Mapping[str, str] | None = None
) -> None:
    """Run a command to its end with its output appended to ``log``; UserError with the end of it when it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        began = output.tell()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        except FileNotFoundError as error:
            raise UserError(f"{what} needs the program {command[0]}, which is not installed.", "Install it.") from error
        try:
            while True:
                try:
                    status = child.wait(_TICK_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    view.tick()
        except BaseException:
            _end(child)
            raise
    if status:
        raise UserError(f"{what} failed (exit status {status}):\n{tail(log, began)}", f"The whole log is {log}.")


def wait_for(condition: Callable[[], bool], what: str, seconds: float, remedy: str, view: ProgressView) -> None:
    """Return when ``condition`` holds; UserError with ``remedy`` when it does not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise UserError(f"Waited {seconds:.0f} s in vain for {what}.", remedy)
        view.tick()
        time.sleep(_TICK_SECONDS)


def tail(log: Path, start: int = 0, lines: int = TAIL_LINES) -> str:
    """The last lines that a log holds after the byte ``start``, indented."""
    with log.open("rb") as stream:
        stream.seek(start)
        text = stream.read().decode("utf-8", "replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (it said nothing)"


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
