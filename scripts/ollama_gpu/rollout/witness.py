"""Which instances of a new version failed, and why."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ollama_gpu import timeline
from ollama_gpu.context import Context

from .refresh import Refresh

_INSTANCE = re.compile(r"\bi-[0-9a-f]+\b")


class Witness:
    """What became of the new version's instances: asked while they exist, for afterwards they are gone."""

    def __init__(self, context: Context, refresh: Refresh) -> None:
        self._context = context
        self._refresh = refresh
        self._new: set[str] = set()
        self.lost: list[str] = []

    def look(self) -> None:
        aws, name = self._context.aws.autoscaling, self._refresh.group
        group = aws.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        template = {each["InstanceId"]: each.get("LaunchTemplate", {}).get("Version") for each in group["Instances"]}
        self._new |= {identifier for identifier, version in template.items() if version == self._refresh.version}
        activities = aws.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
        self.lost = lost(activities, self._new, self._refresh.began)

    def causes(self) -> list[str]:
        """A sentence for each lost instance: the boot step that failed, where it has logged one."""
        return [self._cause(identifier) for identifier in self.lost]

    def _cause(self, identifier: str) -> str:
        failed = [step for step in timeline.read(self._context, identifier) if step.result == "failed"]
        if not failed:
            return f"{identifier} did not become ready or healthy, and its boot logged no failed step."
        return f"{identifier} failed at its boot's step {failed[0].step}: {failed[0].cause or 'no cause given'}"


def lost(activities: Iterable[Any], new: set[str], since: datetime) -> list[str]:
    """Instances of the new version that failed after ``since``, oldest first.

    A launch that failed counts when there was an instance: without one it is AWS that had none to give. An instance
    that ended counts when its health was the cause, not when the group shrank.
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
