"""The command line of the lab: what it refuses, and that looking makes nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ollama_gpu.errors import UserError
from ollama_gpu.lab.commands import lab


@pytest.fixture
def _bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Docker, nothing built, nothing supplied."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OLLAMA_GPU_WORK", str(tmp_path / "work"))


@pytest.mark.usefixtures("_bare_machine")
def test_status_on_a_bare_machine_says_that_nothing_is_there_and_makes_nothing(tmp_path: Path) -> None:
    ran = CliRunner().invoke(lab, ["status", "--json"])
    seen = json.loads(ran.stdout)
    assert seen["engine"] is None
    assert seen["mirror"] is None
    assert {name for name, supply in seen["supplies"].items() if supply} == set()
    assert seen["handover"]["variables"] == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_bare_machine")
def test_a_part_that_does_not_exist_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    ran = CliRunner().invoke(lab, ["supply", "--anew", "kitchen"])
    assert isinstance(ran.exception, UserError)
    assert ran.exception.status == 2
    assert "There is no part kitchen" in ran.exception.message
    assert "open-webui" in ran.exception.remedy
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("_bare_machine")
def test_down_where_nothing_is_up_removes_nothing_and_is_no_error() -> None:
    ran = CliRunner().invoke(lab, ["down", "--json"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout)["containers"] == []
