"""Usual durations: this machine's records first, then the project's measurement."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.local import usual
from ollama_gpu.local.usual import RECORDS, Usual


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usual, "MEASURED", {"Ollama": 240.0})


def test_without_a_record_the_measurement_of_the_project_is_used(tmp_path: Path) -> None:
    assert Usual(tmp_path).seconds("Ollama") == 240
    assert Usual(tmp_path).seconds("unknown") is None
    assert not Usual(tmp_path).is_of_this_machine(["Ollama"])


def test_median_of_the_last_records_is_used(tmp_path: Path) -> None:
    durations = Usual(tmp_path / "cache")
    for seconds in (9000, 100, 110, 120, 130, 140):
        durations.record("Ollama", seconds)
    assert durations.seconds("Ollama") == 120
    assert durations.is_of_this_machine(["Ollama"])
    assert durations.file.read_text().count("1") >= RECORDS
    assert "9000" not in durations.file.read_text()


def test_broken_records_are_no_records(tmp_path: Path) -> None:
    durations = Usual(tmp_path)
    durations.file.write_text('{"Ollama": "fast", "Go": []}')
    assert durations.seconds("Ollama") == 240
    durations.file.write_text("{")
    durations.record("Ollama", 50)
    assert durations.seconds("Ollama") == 50


def test_total_counts_an_unknown_step_as_nothing(tmp_path: Path) -> None:
    assert Usual(tmp_path).total(["Ollama", "unknown"]) == 240
