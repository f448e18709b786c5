"""Another checkout of this repository, with changes of its own: what a colleague deploys from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.fabric.driver import ROOT


def make(folder: Path) -> Path:
    """Copy what is committed or could be, and commit it there."""
    listed = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
        source = ROOT / name
        if name and source.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    _git(folder, "init", "--quiet")
    commit(folder)
    return folder


def commit(folder: Path) -> str:
    """Commit everything; returns the release that it is then."""
    _git(folder, "add", "--all")
    _git(folder, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "change")
    return _git(folder, "rev-parse", "--short=12", "HEAD")


def change(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a text that stands in a file, once."""
    text = (folder / file).read_text()
    assert text.count(old) >= 1, f"{old} is not in {file}"
    (folder / file).write_text(text.replace(old, new, 1))


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()
