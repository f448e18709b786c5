"""Long commands: their words are kept, a failure shows the end of them, waiting has an end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.lab.execution import execute, wait_for
from ollama_gpu.lab.stage import stage
from ollama_gpu.progress import NoProgress


class Heard(NoProgress):
    """A view that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def started(self, stage: str) -> None:
        self.said.append(stage)

    def tick(self) -> None:
        self.said.append("tick")

    def finished(self, outcome: str) -> None:
        self.said.append(outcome)


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_both_streams_are_appended_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    for word in ("one", "two"):
        execute(python(f"import sys; print('{word}'); print('{word}!', file=sys.stderr)"), "It", log, NoProgress())
    assert sorted(log.read_text().split()) == ["one", "one!", "two", "two!"]


def test_a_failure_shows_the_end_of_its_own_words_and_where_the_rest_is(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    execute(python("print('of the run before')"), "It", log, NoProgress())
    with pytest.raises(UserError) as failed:
        execute(python("for i in range(40): print('line', i)\nraise SystemExit(3)"), "The build", log, NoProgress())
    assert failed.value.message.startswith("The build failed (exit status 3):")
    assert "line 39" in failed.value.message
    assert "line 5\n" not in failed.value.message
    assert "run before" not in failed.value.message
    assert str(log) in failed.value.remedy


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no-such-program"):
        execute(["no-such-program"], "It", tmp_path / "log", NoProgress())


def test_the_view_hears_that_it_is_alive(tmp_path: Path) -> None:
    view = Heard()
    with stage(view, "Ollama"):
        execute(python("import time; time.sleep(0.7)"), "It", tmp_path / "log", view)
    assert view.said[0] == "Ollama"
    assert "tick" in view.said
    assert view.said[-1] == "made"


def test_a_stage_that_fails_is_reported_as_failed() -> None:
    view = Heard()
    with pytest.raises(UserError), stage(view, "Ollama"):
        raise UserError("no")
    assert view.said == ["Ollama", "failed"]


def test_waiting_ends_with_the_remedy() -> None:
    with pytest.raises(UserError, match="in vain for the mirror") as failed:
        wait_for(lambda: False, "the mirror", 0.1, "docker logs", NoProgress())
    assert failed.value.remedy == "docker logs"
