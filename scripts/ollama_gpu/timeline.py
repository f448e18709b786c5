"""The boot of an instance step by step, from what it logged: how long each took, and why one failed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ollama_gpu import instance_log
from ollama_gpu.context import Context

PATTERN = '"step="'
"""CloudWatch's filter for the lines that the boot program and its play print."""

_STEP = re.compile(
    r"step=(?P<step>\S+) result=(?P<result>ok|failed|started)(?: seconds=(?P<seconds>[\d.]+))?(?: cause=(?P<cause>.*))?"
)


@dataclass
class Step:
    """``result`` is ok, failed or started; ``seconds`` is None while it goes on."""

    step: str
    result: str
    seconds: float | None
    cause: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


def read(context: Context, instance_id: str) -> list[Step]:
    """The steps of an instance's last boot, oldest first; none where it has logged nothing yet."""
    return steps(instance_log.messages(context, instance_id, PATTERN))


def steps(lines: Iterable[str]) -> list[Step]:
    """The steps that these lines tell of; a boot's first step begins the list anew."""
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
