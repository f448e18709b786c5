"""Long commands: their output is logged, a failure shows its end, and waiting has a timeout."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.side_by_side import Cancelled, side_by_side
from ollama_gpu.local.lab.processes import execute, wait_for
from ollama_gpu.local.lab.progress_step import progress_step
from ollama_gpu.terraform.progress import NoProgress


class Recorded(NoProgress):
    """A view that records its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def started(self, stage: str, usual: float | None = None) -> None:  # noqa: ARG002
        self.calls.append(stage)

    def tick(self) -> None:
        self.calls.append("tick")

    def finished(self, outcome: str) -> None:
        self.calls.append(outcome)


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_both_streams_are_appended_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    for word in ("one", "two"):
        execute(python(f"import sys; print('{word}'); print('{word}!', file=sys.stderr)"), "It", log, NoProgress())
    assert sorted(log.read_text().split()) == ["one", "one!", "two", "two!"]


def test_failure_shows_the_end_of_its_output_and_the_log(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    execute(python("print('of the run before')"), "It", log, NoProgress())
    with pytest.raises(UserError) as failed:
        execute(python("for i in range(40): print('line', i)\nraise SystemExit(3)"), "The build", log, NoProgress())
    assert failed.value.message.startswith("The build failed (exit status 3):")
    assert "line 39" in failed.value.message
    assert "line 5\n" not in failed.value.message
    assert "run before" not in failed.value.message
    assert str(log) in failed.value.remedy


def test_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no-such-program"):
        execute(["no-such-program"], "It", tmp_path / "log", NoProgress())


def test_view_ticks_during_a_command(tmp_path: Path) -> None:
    view = Recorded()
    with progress_step(view, "Ollama"):
        execute(python("import time; time.sleep(0.7)"), "It", tmp_path / "log", view)
    assert view.calls[0] == "Ollama"
    assert "tick" in view.calls
    assert view.calls[-1] == "done"


def test_failed_step_is_reported_as_failed() -> None:
    view = Recorded()
    with pytest.raises(UserError), progress_step(view, "Ollama"):
        raise UserError("no")
    assert view.calls == ["Ollama", "failed"]


def test_timeout_has_the_remedy() -> None:
    with pytest.raises(UserError, match="Timed out after 0 s waiting for the mirror") as failed:
        wait_for(lambda: False, "the mirror", 0.1, "docker logs", NoProgress())
    assert failed.value.remedy == "docker logs"


def test_cancelled_command_ends_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with suppress(KeyboardInterrupt), side_by_side() as beside:
        slow = python("import time; time.sleep(60)")
        running = beside.start(lambda: execute(slow, "The build", tmp_path / "log", NoProgress()))
        time.sleep(0.5)
        raise KeyboardInterrupt
    assert isinstance(running.exception(), Cancelled)
    assert time.monotonic() - began < 20
