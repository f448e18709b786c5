"""Docker's errors, from a program of its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.docker import Docker

ENGINE = """#!/bin/sh
case "$1" in
  container) test -e "{there}" && echo '[{{}}]' && {then}; exit ;;
  rm) echo "Error response from daemon: {words}" >&2; exit 1 ;;
esac
"""


def engine(folder: Path, monkeypatch: pytest.MonkeyPatch, words: str, then: str) -> Path:
    """Install a `docker` whose removal of its one container fails with ``words``; ``then`` runs after each inspect."""
    there = folder / "there"
    there.touch()
    program = folder / "docker"
    program.write_text(ENGINE.format(there=there, words=words, then=then.format(there=there)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return there


def test_concurrent_removal_of_a_container_is_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = engine(tmp_path, monkeypatch, "removal of container x is already in progress", "rm {there}")
    Docker().remove("x")
    assert not there.exists()


def test_failed_removal_reports_the_engines_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(tmp_path, monkeypatch, "driver failed", "true")
    with pytest.raises(UserError, match="driver failed"):
        Docker().remove("x")
