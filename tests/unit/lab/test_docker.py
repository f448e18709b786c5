"""What the engine's command line says is judged: here by a program of that name that says it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.lab.docker import Docker

ENGINE = """#!/bin/sh
case "$1" in
  container) test -e "{there}" && echo '[{{}}]' && {then}; exit ;;
  rm) echo "Error response from daemon: {words}" >&2; exit 1 ;;
esac
"""


def engine(folder: Path, monkeypatch: pytest.MonkeyPatch, words: str, then: str) -> Path:
    """A `docker` whose one container cannot be removed for these words; ``then`` runs after each look at it."""
    there = folder / "there"
    there.touch()
    program = folder / "docker"
    program.write_text(ENGINE.format(there=there, words=words, then=then.format(there=there)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return there


def test_who_comes_second_to_remove_a_container_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = engine(tmp_path, monkeypatch, "removal of container x is already in progress", "rm {there}")
    Docker().remove("x")
    assert not there.exists()


def test_a_container_that_cannot_be_removed_is_told_with_the_engines_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(tmp_path, monkeypatch, "driver failed", "true")
    with pytest.raises(UserError, match="driver failed"):
        Docker().remove("x")
