"""The instances that a refresh replaces next."""

from __future__ import annotations

import math
from datetime import datetime

from . import activities, termination
from .model import STANDBY, Group, Member, Refresh, Replacement
from .region import Region

_REASON = "an instance refresh."


def choose(
    region: Region,
    group: Group,
    refresh: Refresh,
    members: dict[str, Member],
    ready: list[Member],
    now: datetime,
) -> None:
    """Mark the next instances, as many as `batch` allows to be missing or extra at a time."""
    desired = group.desired_capacity
    down, up = batch(desired, refresh.preference("MinHealthyPercentage"), refresh.preference("MaxHealthyPercentage"))
    marked = [member for member in members.values() if member.mark is not None]
    eligible = []
    for member in sorted(members.values(), key=lambda member: member.launched):
        if member.id not in refresh.todo or member.mark is not None:
            continue
        if member.lifecycle_state == STANDBY and refresh.preference("StandbyInstances") == "Terminate":
            termination.begin(region, group, member, activities.taken_out(_REASON, now), now)
        if member.protected and refresh.preference("ScaleInProtectedInstances") == "Wait":
            continue
        if member.counts:
            eligible.append(member)
    eligible.sort(key=lambda member: -_crowd(member, eligible))
    allowance = refresh.remaining - len(marked)
    # an instance that does not serve is missing already: replacing it costs no capacity
    for member in [member for member in eligible if member not in ready]:
        if allowance > 0:
            _mark(group, member, launch_first=False, now=now)
            allowance -= 1
    healthy = [member for member in eligible if member in ready]
    extra = max(0, up - len(marked))
    spare = max(0, min(down, len(ready) - (desired - down)) - len(marked))
    for member in healthy:
        if allowance <= 0 or extra + spare <= 0:
            return
        _mark(group, member, launch_first=extra > 0, now=now)
        allowance -= 1
        if extra > 0:
            extra -= 1
        else:
            spare -= 1


def batch(desired: int, min_healthy: int, max_healthy: int) -> tuple[int, int]:
    """Return how many instances may be missing and how many extra. At least one of the two is 1 or more.

    With both percentages at 100, AWS replaces one instance at a time and launches its successor first.
    """
    down = desired - math.ceil(desired * min_healthy / 100)
    up = math.floor(desired * max_healthy / 100) - desired
    if down == 0 and up == 0:
        return (0, 1) if min_healthy == 100 or max_healthy > 100 else (1, 0)
    return down, up


def _crowd(member: Member, members: list[Member]) -> int:
    return sum(other.place.zone == member.place.zone for other in members)


def _mark(group: Group, member: Member, *, launch_first: bool, now: datetime) -> None:
    reason = activities.taken_out(_REASON, now)
    group.mark(member, Replacement(reason, launch_first), activities.launched_for(_REASON, now))
