"""Tracks the instances of a new version that failed, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ollama_gpu.environment.context import Context
from ollama_gpu.observe import boot_timeline

from .refresh import Refresh

_INSTANCE = re.compile(r"\bi-[0-9a-f]+\b")


class InstanceWatch:
    """Tracks the instances of the new version during a refresh. Afterwards, failed instances no longer exist."""

    def __init__(self, context: Context, refresh: Refresh) -> None:
        self._context = context
        self._refresh = refresh
        self._new: set[str] = set()
        self.lost: list[str] = []

    def update(self) -> None:
        """Read the group and its activities, and update ``lost``."""
        aws, name = self._context.aws.autoscaling, self._refresh.group
        group = aws.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        template = {each["InstanceId"]: each.get("LaunchTemplate", {}).get("Version") for each in group["Instances"]}
        self._new |= {identifier for identifier, version in template.items() if version == self._refresh.version}
        activities = aws.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
        self.lost = lost(activities, self._new, self._refresh.began)

    def causes(self) -> list[str]:
        """Return a sentence for each lost instance, with the failed boot step if the instance logged one."""
        return [self._cause(identifier) for identifier in self.lost]

    def _cause(self, identifier: str) -> str:
        failed = [step for step in boot_timeline.read(self._context, identifier) if step.result == "failed"]
        if not failed:
            return f"{identifier} did not become ready or healthy. Its boot logged no failed step."
        return f"{identifier} failed in boot step {failed[0].step}: {failed[0].cause or 'no cause given'}"


def lost(activities: Iterable[Any], new: set[str], since: datetime) -> list[str]:
    """Return the instances of the new version that failed after ``since``, oldest first.

    A failed launch counts only if it has an instance id. Without one, AWS had no capacity. A termination counts if a
    health check was the cause, not if the group scaled in.
    """
    found: list[str] = []
    for activity in sorted(activities, key=lambda each: each["StartTime"]):
        identifier = _INSTANCE.search(activity["Description"])
        if identifier is None or activity["StartTime"] < since:
            continue
        launching = activity["Description"].startswith("Launching")
        failed = launching and activity["StatusCode"] in ("Failed", "Cancelled")
        unhealthy = not launching and identifier[0] in new and "health" in activity.get("Cause", "")
        if (failed or unhealthy) and identifier[0] not in found:
            found.append(identifier[0])
    return found
