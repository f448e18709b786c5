"""What is being deployed: the release that tags every resource."""

from __future__ import annotations

import subprocess
from pathlib import Path


def current(repository: Path) -> str:
    """The checkout's commit, 12 digits, with ``-dirty`` when tracked files differ from it.

    ``unversioned`` outside git (an unpacked archive): the deploy works, but can only be told apart by its time.
    """
    try:
        described = subprocess.run(
            ["git", "-C", str(repository), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unversioned"
    return described.stdout.strip()
