"""How fast a refresh goes: batches by the healthy percentages, and checkpoints."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from . import activities, events, termination
from .group import STANDBY, Group, Member, Replacement
from .refresh import Refresh
from .region import Region

DEFAULT_CHECKPOINT_DELAY = 3600  # seconds

_REASON = "an instance refresh."


def choose(
    region: Region,
    group: Group,
    refresh: Refresh,
    members: dict[str, Member],
    ready: list[Member],
    now: datetime,
) -> None:
    """Mark the next instances: before their successors as many as may be missing, after as many as extra."""
    desired = group.desired_capacity
    down, up = batch(desired, refresh.preference("MinHealthyPercentage"), refresh.preference("MaxHealthyPercentage"))
    allowance = _allowance(refresh)
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
    allowance -= len(marked)
    # what does not work is missing already: it costs nothing to replace
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
    """How many instances may be missing and how many extra; at least one of either, or nothing would move.

    With 100 % healthy at least and at most AWS still replaces one at a time, its successor first.
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


def _allowance(refresh: Refresh) -> int:
    """How many of the instances to do may be touched before the next checkpoint."""
    checkpoints = refresh.preference("CheckpointPercentages") or []
    if refresh.rollback is not None or refresh.checkpoints_passed >= len(checkpoints):
        return refresh.remaining
    limit = math.ceil(refresh.total * checkpoints[refresh.checkpoints_passed] / 100)
    return max(0, int(limit) - (refresh.total - refresh.remaining))


def may_go_on(region: Region, group: Group, refresh: Refresh, now: datetime) -> bool:
    """Whether no checkpoint holds the refresh; on reaching one it pauses."""
    checkpoints = refresh.preference("CheckpointPercentages") or []
    if refresh.rollback is not None or refresh.checkpoints_passed >= len(checkpoints):
        return True
    if refresh.paused_until is not None:
        if now < refresh.paused_until:
            refresh.progress_at = now
            return False
        refresh.paused_until = None
        refresh.checkpoints_passed += 1
        refresh.reason = None
        return True
    if refresh.percentage >= checkpoints[refresh.checkpoints_passed]:
        delay = int(refresh.preference("CheckpointDelay", DEFAULT_CHECKPOINT_DELAY))
        refresh.paused_until = now + timedelta(seconds=delay)
        reached = checkpoints[refresh.checkpoints_passed]
        refresh.reason = f"Reached checkpoint of {reached} percent; waiting {delay} s."
        events.refresh_event(region, group, refresh.id, "Checkpoint Reached", now)
        return False
    return True


def stops_short(refresh: Refresh) -> bool:
    """Whether the last checkpoint has passed and was not 100 %: the rest stays as it is."""
    checkpoints = refresh.preference("CheckpointPercentages") or [100]
    passed = refresh.checkpoints_passed >= len(checkpoints)
    return passed and checkpoints[-1] < 100 and not refresh.rolling_back
