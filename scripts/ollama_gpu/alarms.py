"""The alarms of an environment: which ring, since when, and where the runbook tells what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.context import Context

_RUNBOOK = re.compile(r"Runbook: (\S+)")


@dataclass(frozen=True)
class Alarm:
    """One alarm. ``what`` is its name without the environment's part; ``since`` is when its state began, in UTC.

    ``threshold`` is in the metric's unit; None for a composite alarm.
    """

    name: str
    what: str
    state: str
    since: datetime
    reason: str
    runbook: str
    threshold: float | None

    def as_dict(self) -> dict[str, str]:
        return {
            "what": self.what,
            "state": self.state,
            "since": stamp(self.since),
            "reason": self.reason,
            "runbook": self.runbook,
            "name": self.name,
        }


def prefix(context: Context) -> str:
    """What the names of the environment's alarms begin with."""
    return f"{context.contract.project}-{context.environment.name}-"


def read(context: Context) -> list[Alarm]:
    """Every alarm of the environment, those that ring first and the composite before the others.

    Those without a runbook are left out: they are the scaling itself, and ring in its ordinary course.
    """
    found: list[tuple[bool, Alarm]] = []
    pages = context.aws.cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix(context), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    for page in pages:
        found += [(False, _alarm(context, each)) for each in page.get("MetricAlarms", [])]
        found += [(True, _alarm(context, each)) for each in page.get("CompositeAlarms", [])]
    found = [each for each in found if each[1].runbook]
    found.sort(key=lambda each: (each[1].state != "ALARM", not each[0], each[1].name))
    return [alarm for _, alarm in found]


def stamp(moment: datetime) -> str:
    """A moment as every verb prints it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _alarm(context: Context, found: Any) -> Alarm:
    runbook = _RUNBOOK.search(found.get("AlarmDescription", ""))
    return Alarm(
        name=found["AlarmName"],
        what=found["AlarmName"].removeprefix(prefix(context)),
        state=found["StateValue"],
        since=found.get("StateTransitionedTimestamp") or found["StateUpdatedTimestamp"],
        reason=found.get("StateReason", ""),
        runbook=runbook[1] if runbook else "",
        threshold=found.get("Threshold"),
    )
