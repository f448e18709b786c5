"""Another checkout of this repository, with changes of its own: what a colleague deploys from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.fabric.driver import ROOT


def make(folder: Path, source: Path = ROOT) -> Path:
    """Copy what is committed or could be, without git's own files: a release of it is `unversioned`."""
    listed = ["git", "-C", str(source), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
        file = source / name
        if name and file.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    return folder


def change(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a text that stands in a file, once."""
    text = (folder / file).read_text()
    assert text.count(old) >= 1, f"{old} is not in {file}"
    (folder / file).write_text(text.replace(old, new, 1))
