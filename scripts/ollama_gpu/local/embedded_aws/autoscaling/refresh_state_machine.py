"""The state machine of an instance refresh: roll a group to a configuration, and roll it back if that fails.

During a refresh, new instances are launched from ``group.launching``. The group's own configuration changes only
when the refresh succeeds, so a rollback can return to it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from . import events
from .model import STANDBY, Group, Refresh, RefreshStatus
from .refresh import active, is_ready, matches, unmark
from .refresh_batches import choose
from .refresh_failures import problem
from .region import Region


def run(region: Region, group: Group, now: datetime) -> None:
    """Advance the refresh of a group to ``now`` and mark the instances that the next convergence replaces."""
    refresh = active(group)
    if refresh is None or not group.allows("InstanceRefresh"):
        return
    if refresh.status == RefreshStatus.PENDING:
        _begin(region, group, refresh, now)
    elif refresh.status == RefreshStatus.BAKING:
        _bake(region, group, refresh, now)
    elif refresh.status != RefreshStatus.CANCELLING:
        _roll(region, group, refresh, now)
    elif all(member.in_service or member.lifecycle_state == STANDBY for member in group.members):
        _finish(region, group, refresh, RefreshStatus.CANCELLED, "Cancelled", refresh.reason, now)


def _begin(region: Region, group: Group, refresh: Refresh, now: datetime) -> None:
    refresh.status = RefreshStatus.IN_PROGRESS
    refresh.reason = None
    refresh.progress_at = now
    group.launching = refresh.desired
    group.failed_launches = 0
    group.no_launch_before = None
    target = group.current_configuration
    matching = bool(refresh.preference("SkipMatching"))
    refresh.todo = {
        member.id
        for member in group.members
        if not member.terminating
        and not (matching and matches(region, target, member))
        and not (member.protected and refresh.preference("ScaleInProtectedInstances") == "Ignore")
        and not (member.lifecycle_state == STANDBY and refresh.preference("StandbyInstances") == "Ignore")
    }
    refresh.total = refresh.remaining = len(refresh.todo)
    events.refresh_event(region, group, refresh.id, "Started", now)


def _roll(region: Region, group: Group, refresh: Refresh, now: datetime) -> None:
    if found := problem(region, group, refresh, now):
        _fail(region, group, refresh, found, now)
        return
    members = {member.id: member for member in group.members if not member.terminating}
    refresh.todo &= members.keys()
    ready = [member for member in members.values() if is_ready(region, group, member, now)]
    old = len(refresh.todo)
    new = sum(member.id not in refresh.todo for member in ready)
    missing = max(0, group.desired_capacity - old - new)
    refresh.remaining = len(refresh.todo)
    _report(refresh, refresh.total - min(refresh.total, refresh.remaining + missing))
    if (refresh.remaining, new) != refresh.progress:
        refresh.progress, refresh.progress_at = (refresh.remaining, new), now
    settled = missing == 0 and not any(member.terminating for member in group.members)
    if settled and refresh.remaining == 0:
        _complete(region, group, refresh, now)
    else:
        choose(region, group, refresh, members, ready, now)


def _report(refresh: Refresh, updated: int) -> None:
    percentage = 100 if refresh.total == 0 else updated * 100 // refresh.total
    if refresh.rollback is None:
        refresh.percentage = percentage
    else:
        refresh.rollback["PercentageCompleteOnRollback"] = percentage
        refresh.rollback["InstancesToUpdateOnRollback"] = refresh.remaining


def _complete(region: Region, group: Group, refresh: Refresh, now: datetime) -> None:
    if refresh.rolling_back:
        _finish(region, group, refresh, RefreshStatus.ROLLBACK_SUCCESSFUL, "Rollback Succeeded", refresh.reason, now)
        return
    refresh.percentage = 100
    bake = int(refresh.preference("BakeTime", 0))
    if bake > 0:
        refresh.status = RefreshStatus.BAKING
        refresh.bake_until = now + timedelta(seconds=bake)
    else:
        _succeed(region, group, refresh, now)


def _bake(region: Region, group: Group, refresh: Refresh, now: datetime) -> None:
    if found := problem(region, group, refresh, now):
        _fail(region, group, refresh, found, now)
    elif refresh.bake_until is not None and now >= refresh.bake_until:
        _succeed(region, group, refresh, now)
    else:
        refresh.progress_at = now


def _succeed(region: Region, group: Group, refresh: Refresh, now: datetime) -> None:
    if refresh.desired is not None:
        group.configuration = refresh.desired
    _finish(region, group, refresh, RefreshStatus.SUCCESSFUL, "Succeeded", None, now)


def _fail(region: Region, group: Group, refresh: Refresh, reason: str, now: datetime) -> None:
    if refresh.rolling_back:
        _finish(region, group, refresh, RefreshStatus.ROLLBACK_FAILED, "Rollback Failed", reason, now)
    elif refresh.preference("AutoRollback"):
        begin_rollback(region, group, refresh, reason, now)
    else:
        _finish(region, group, refresh, RefreshStatus.FAILED, "Failed", reason, now)


def begin_rollback(region: Region, group: Group, refresh: Refresh, reason: str, now: datetime) -> None:
    """Start the rollback: replace every instance that does not match the group's own configuration."""
    refresh.status = RefreshStatus.ROLLBACK_IN_PROGRESS
    refresh.reason = reason
    unmark(group)
    group.launching = None
    group.failed_launches = 0
    group.no_launch_before = None
    refresh.successors = set()
    refresh.failures = 0
    refresh.progress_at = now
    refresh.todo = {
        member.id
        for member in group.members
        if not member.terminating and not matches(region, group.configuration, member)
    }
    refresh.total = refresh.remaining = len(refresh.todo)
    refresh.rollback = {
        "RollbackReason": reason,
        "RollbackStartTime": now,
        "PercentageCompleteOnRollback": 0,
        "InstancesToUpdateOnRollback": refresh.total,
    }
    events.refresh_event(region, group, refresh.id, "Rollback Started", now)


def _finish(
    region: Region, group: Group, refresh: Refresh, status: str, event: str, reason: str | None, now: datetime
) -> None:
    refresh.status, refresh.reason, refresh.end = status, reason, now
    group.launching = None
    unmark(group)
    events.refresh_event(region, group, refresh.id, event, now)
