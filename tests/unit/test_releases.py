"""A release is the commit, and says when the tree differs from it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ollama_gpu import releases


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "one")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_clean_tree_is_its_commit(repository: Path) -> None:
    assert releases.current(repository) == git(repository, "rev-parse", "--short=12", "HEAD")


def test_a_changed_tree_says_so(repository: Path) -> None:
    (repository / "file").write_text("two")
    assert releases.current(repository).endswith("-dirty")


def test_a_file_that_git_does_not_track_changes_nothing(repository: Path) -> None:
    (repository / "other").write_text("x")
    assert not releases.current(repository).endswith("-dirty")


def test_outside_git_the_release_is_unversioned(tmp_path: Path) -> None:
    assert releases.current(tmp_path) == "unversioned"
