"""The command line of the lab: refusals, and commands on a machine without a lab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ollama_gpu.cli.lab import lab
from ollama_gpu.core.errors import UserError


@pytest.fixture
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up a machine without Docker, builds or supplies."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OLLAMA_GPU_WORK", str(tmp_path / "work"))


@pytest.mark.usefixtures("_bare_machine")
def test_status_on_a_bare_machine_shows_nothing_and_creates_nothing(tmp_path: Path) -> None:
    ran = CliRunner().invoke(lab, ["status", "--json"])
    seen = json.loads(ran.stdout)
    assert seen["engine"] is None
    assert seen["mirror"] is None
    assert {name for name, supply in seen["supplies"].items() if supply} == set()
    assert seen["variables_file"]["variables"] == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_bare_machine")
def test_unknown_part_is_refused_before_any_change(tmp_path: Path) -> None:
    ran = CliRunner().invoke(lab, ["supply", "--rebuild", "kitchen"])
    assert isinstance(ran.exception, UserError)
    assert ran.exception.status == 2
    assert "There is no part kitchen" in ran.exception.message
    assert "open-webui" in ran.exception.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_bare_machine")
def test_down_without_a_lab_removes_nothing_and_succeeds() -> None:
    ran = CliRunner().invoke(lab, ["down", "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["containers"] == []
