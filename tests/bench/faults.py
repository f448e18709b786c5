"""What each fault cost, as the tier `serving` measured it last: a row for each is in that tier's log."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fabric.driver import ROOT

LOGS = ROOT / ".ollama-gpu" / "tests"


def figures(folder: Path = LOGS) -> dict[str, Any]:
    """The rows of the newest log that has any, and of when it is."""
    logs = sorted(folder.glob("*.log"), key=lambda log: log.stat().st_mtime, reverse=True)
    for log in logs:
        if found := rows(log.read_text(encoding="utf-8", errors="replace").splitlines()):
            ended = datetime.fromtimestamp(log.stat().st_mtime, UTC)
            return {f"faults, measured by {log.name} of {ended:%Y-%m-%d %H:%M} UTC": found}
    return {"faults": "not measured here yet: `make test` does, or .venv/bin/python -m tests.tiers serving"}


def rows(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of JSON among lines of other things."""
    return [json.loads(line) for line in lines if line.startswith('{"fault": ')]
