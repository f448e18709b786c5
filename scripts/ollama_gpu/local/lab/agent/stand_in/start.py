"""Waits for the agent's configuration, which the boot writes. Before that, a stock instance does not have boto3."""

from __future__ import annotations

import sys
import time
from pathlib import Path

POLL_SECONDS = 2.0


def main() -> None:
    """Run the stand-in. The program's argument is the path of the agent's configuration."""
    path = Path(sys.argv[1])
    while not path.exists():
        time.sleep(POLL_SECONDS)

    from . import program

    program.run(path)
