"""A separate, modifiable checkout of this repository, such as another administrator deploys from."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.fabric.driver import ROOT


def make(folder: Path, source: Path = ROOT) -> Path:
    """Copy all committed and committable files, without .git: its release is `unversioned`."""
    listed = ["git", "-C", str(source), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
        file = source / name
        if name and file.is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    return folder


def change(folder: Path, file: str, old: str, new: str) -> None:
    """Replace the first occurrence of a text in a file."""
    text = (folder / file).read_text()
    assert text.count(old) >= 1, f"{old} is not in {file}"
    (folder / file).write_text(text.replace(old, new, 1))
