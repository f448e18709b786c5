"""One tick of one group: everything that time alone brings about, in the order in which it depends on itself."""

from __future__ import annotations

from datetime import datetime

from . import (
    activities,
    group_metrics,
    health,
    launch,
    placement,
    refresh,
    refresh_machine,
    schedule,
    target_tracking,
    targets,
    template,
    termination,
    upkeep,
)
from .group import Group, Member, weight
from .region import Region


def tick(region: Region, group: Group, now: datetime) -> None:
    """Bring a group one step nearer to what it should be at ``now``."""
    for member in list(group.members):
        if member.pending:
            launch.advance(region, group, member, now)
        elif member.terminating:
            termination.advance(region, group, member, now)
    if group.deleting:
        _delete(region, group, now)
        return
    # before anybody asks for the health of who has just come into service
    targets.synchronise(region, group)
    schedule.run(group, now)
    health.check(region, group, now)
    target_tracking.run(region, group, now)
    refresh_machine.run(region, group, now)
    upkeep.run(region, group, now)
    converge(region, group, now)
    group_metrics.publish(region, group, now)


def converge(region: Region, group: Group, now: datetime) -> None:
    """Launch and terminate until capacity and desired capacity agree."""
    if group.allows("Terminate"):
        for member in group.capacity():
            if member.mark is not None and not member.mark.launch_first:
                termination.begin(region, group, member, member.mark.reason, now)
        _release_replaced(region, group, now)
        _scale_in(region, group, now)
    if group.allows("Launch"):
        _scale_out(region, group, now)
    if weight(_unmarked(group)) == group.desired_capacity:
        group.change = None
        group.vacancies.clear()


def _unmarked(group: Group) -> list[Member]:
    return [member for member in group.capacity() if member.mark is None]


def _scale_out(region: Region, group: Group, now: datetime) -> None:
    before = weight(_unmarked(group))
    while weight(_unmarked(group)) < group.desired_capacity:
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
    """End those whose successors do their work, and no more than that."""
    ready = weight(member for member in _unmarked(group) if refresh.is_ready(region, group, member, now))
    marked = [(member, member.mark) for member in group.capacity() if member.mark is not None]
    left = weight(member for member, _ in marked)
    for member, mark in sorted(marked, key=lambda pair: pair[0].launched):
        if ready + left <= group.desired_capacity:
            return
        left -= member.weight
        termination.begin(region, group, member, mark.reason, now)


def _scale_in(region: Region, group: Group, now: datetime) -> None:
    before = weight(_unmarked(group))
    configuration = group.current_configuration
    while (members := _unmarked(group)) and weight(members) > group.desired_capacity:
        current = template.current_templates(region, configuration)
        victim = placement.choose_victim(members, group.termination_policies, configuration.distribution, current)
        if victim is None or weight(members) - victim.weight < group.desired_capacity:
            return
        cause = activities.shrunk(before, group.desired_capacity, victim.id, now)
        if group.change:
            cause = f"{group.change} {cause}"
        termination.begin(region, group, victim, cause, now)


def _delete(region: Region, group: Group, now: datetime) -> None:
    for member in list(group.members):
        if not member.terminating:
            cause = activities.user_deletion(now)
            termination.begin(region, group, member, cause, now)
    if not group.members:
        remove(region, group)


def remove(region: Region, group: Group) -> None:
    """Forget a group; its activities stay, as AWS keeps them for IncludeDeletedGroups."""
    for policy in group.policies.values():
        policy.remove_alarms(region)
    for activity in region.activities:
        if activity.group_arn == group.arn:
            activity.group_deleted = True
    group.target_group_arns = []
    targets.synchronise(region, group)
    region.groups.pop(group.name, None)
