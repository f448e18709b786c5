"""The steps of an instance's boot, read from its log: duration, result and cause of failure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ollama_gpu.environment.context import Context
from ollama_gpu.observe import instance_log

PATTERN = '"step="'
"""CloudWatch filter pattern for the lines that the boot program and its play print."""

_STEP = re.compile(
    r"step=(?P<step>\S+) result=(?P<result>ok|failed|started)(?: seconds=(?P<seconds>[\d.]+))?(?: cause=(?P<cause>.*))?"
)


@dataclass
class Step:
    """One step. ``result`` is ok, failed or started. ``seconds`` is None while the step runs."""

    step: str
    result: str
    seconds: float | None
    cause: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


def read(context: Context, instance_id: str) -> list[Step]:
    """Return the steps of an instance's last boot, oldest first. Empty if it has not logged anything yet."""
    return steps(instance_log.messages(context, instance_id, PATTERN))


def steps(lines: Iterable[str]) -> list[Step]:
    """Parse the steps from log lines. The first step of a boot clears the steps of the previous boot."""
    found: dict[str, Step] = {}
    for line in lines:
        match = _STEP.search(line)
        if match is None:
            continue
        name, result = match["step"], match["result"]
        if result == "started":
            if name == "describe":
                found = {}
            found.setdefault(name, Step(name, "started", None))
            continue
        cause = (match["cause"] or "").rstrip('"} ')
        found[name] = Step(name, result, float(match["seconds"] or 0), cause)
    return list(found.values())
