"""The cost of each fault, as the last run of the tier `serving` measured it. That tier's log has a row per fault."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.fabric.driver import ROOT

LOGS = ROOT / ".ollama-gpu" / "tests"


def figures(folder: Path = LOGS) -> dict[str, Any]:
    """The rows of the newest log that has any, and the time of that log."""
    logs = sorted(folder.glob("*.log"), key=lambda log: log.stat().st_mtime, reverse=True)
    for log in logs:
        if found := rows(log.read_text(encoding="utf-8", errors="replace").splitlines()):
            ended = datetime.fromtimestamp(log.stat().st_mtime, UTC)
            return {f"faults, measured by {log.name} of {ended:%Y-%m-%d %H:%M} UTC": found}
    return {"faults": "not measured in this checkout yet; run: make test, or .venv/bin/python -m tests.tiers serving"}


def rows(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Extract the JSON rows from lines of mixed output."""
    return [json.loads(line) for line in lines if line.startswith('{"fault": ')]
