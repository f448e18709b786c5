"""The name of a release: the commit, marked if the tree differs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ollama_gpu.releases import release


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


def test_clean_tree_is_named_by_commit(repository: Path) -> None:
    assert release.current(repository) == git(repository, "rev-parse", "--short=12", "HEAD")


def test_changed_tree_is_dirty(repository: Path) -> None:
    (repository / "file").write_text("two")
    assert release.current(repository).endswith("-dirty")


def test_untracked_file_is_ignored(repository: Path) -> None:
    (repository / "other").write_text("x")
    assert not release.current(repository).endswith("-dirty")


def test_tree_outside_git_is_unversioned(tmp_path: Path) -> None:
    assert release.current(tmp_path) == "unversioned"
