"""The CloudWatch alarms of an environment, with their state and runbook."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.environment.context import Context

_RUNBOOK = re.compile(r"Runbook: (\S+)")


@dataclass(frozen=True)
class Alarm:
    """One alarm. ``what`` is the name without the prefix, ``since`` the UTC time of the last state change.

    ``threshold`` is in the metric's unit. It is None for a composite alarm.
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
            "since": timestamp(self.since),
            "reason": self.reason,
            "runbook": self.runbook,
            "name": self.name,
        }


def prefix(context: Context) -> str:
    """Return the prefix of the environment's alarm names."""
    return f"{context.contract.project}-{context.environment.name}-"


def read(context: Context) -> list[Alarm]:
    """Return the environment's alarms: those in ALARM first, composite alarms before metric alarms.

    Alarms without a runbook are omitted: they trigger scaling policies, and firing is part of normal scaling.
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


def timestamp(moment: datetime) -> str:
    """Format a time for output: UTC, in whole seconds."""
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
