"""One tick of a group: everything that happens with time, in the required order."""

from __future__ import annotations

from datetime import datetime

from . import (
    activities,
    group_metrics,
    health,
    launch,
    placement,
    policies,
    proactive_replacement,
    refresh,
    refresh_state_machine,
    schedule,
    target_tracking,
    targets,
    template,
    termination,
)
from .model import Group, Member
from .region import Region


def tick(region: Region, group: Group, now: datetime) -> None:
    """Advance a group by one step towards its desired state at ``now``."""
    for member in list(group.members):
        if member.pending:
            launch.advance(region, group, member, now)
        elif member.terminating:
            termination.advance(region, group, member, now)
    if group.deleting:
        _delete(region, group, now)
        return
    # first, because the health check below reads the targets of new instances
    targets.synchronize(region, group)
    schedule.run(group, now)
    health.check(region, group, now)
    target_tracking.run(region, group, now)
    refresh_state_machine.run(region, group, now)
    proactive_replacement.run(region, group, now)
    converge(region, group, now)
    group_metrics.publish(region, group, now)


def converge(region: Region, group: Group, now: datetime) -> None:
    """Launch and terminate instances until the capacity equals the desired capacity."""
    if group.allows("Terminate"):
        for member in group.capacity():
            if member.mark is not None and not member.mark.launch_first:
                termination.begin(region, group, member, member.mark.reason, now)
        _release_replaced(region, group, now)
        _scale_in(region, group, now)
    if group.allows("Launch"):
        _scale_out(region, group, now)
    if len(_unmarked(group)) == group.desired_capacity:
        group.change = None
        group.vacancies.clear()


def _unmarked(group: Group) -> list[Member]:
    return [member for member in group.capacity() if member.mark is None]


def _scale_out(region: Region, group: Group, now: datetime) -> None:
    before = len(_unmarked(group))
    while len(_unmarked(group)) < group.desired_capacity:
        if group.no_launch_before is not None and now < group.no_launch_before:
            return
        if group.vacancies:
            cause = group.vacancies.pop(0)
        else:
            cause = activities.started(before, group.desired_capacity, now)
            if group.change:
                cause = f"{group.change} {cause}"
        if launch.launch(region, group, cause, now) is None:
            return


def _release_replaced(region: Region, group: Group, now: datetime) -> None:
    """Terminate the marked instances whose successors serve, without falling below the desired capacity."""
    ready = sum(refresh.is_ready(region, group, member, now) for member in _unmarked(group))
    marked = [(member, member.mark) for member in group.capacity() if member.mark is not None]
    left = len(marked)
    for member, mark in sorted(marked, key=lambda pair: pair[0].launched):
        if ready + left <= group.desired_capacity:
            return
        left -= 1
        termination.begin(region, group, member, mark.reason, now)


def _scale_in(region: Region, group: Group, now: datetime) -> None:
    before = len(_unmarked(group))
    configuration = group.current_configuration
    while len(members := _unmarked(group)) > group.desired_capacity:
        current = template.current_template(region, configuration)
        chosen = placement.choose_for_termination(
            members, group.termination_policies, configuration.distribution, current
        )
        if chosen is None:
            return
        cause = activities.shrunk(before, group.desired_capacity, chosen.id, now)
        if group.change:
            cause = f"{group.change} {cause}"
        termination.begin(region, group, chosen, cause, now)


def _delete(region: Region, group: Group, now: datetime) -> None:
    for member in list(group.members):
        if not member.terminating:
            cause = activities.user_deletion(now)
            termination.begin(region, group, member, cause, now)
    if not group.members:
        remove(region, group)


def remove(region: Region, group: Group) -> None:
    """Remove a group. Its activities stay, because AWS returns them with IncludeDeletedGroups."""
    for policy in group.policies.values():
        policies.remove_alarms(region, policy)
    for activity in region.activities:
        if activity.group_arn == group.arn:
            activity.group_deleted = True
    group.target_group_arns = []
    targets.synchronize(region, group)
    region.groups.pop(group.name, None)
