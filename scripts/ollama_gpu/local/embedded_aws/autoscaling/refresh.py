"""Questions about the instance refresh of a group. ``refresh_state_machine`` advances it."""

from __future__ import annotations

from datetime import datetime

from . import health, template
from .model import Configuration, Group, Member, Refresh
from .region import Region


def active(group: Group) -> Refresh | None:
    """Return the unfinished refresh of a group."""
    return next((refresh for refresh in group.refreshes if refresh.active), None)


def is_ready(region: Region, group: Group, member: Member, now: datetime) -> bool:
    """Whether an instance serves. An instance that a refresh launched must also be past the warm-up."""
    refresh = active(group)
    successor = refresh is not None and member.id not in refresh.todo
    return health.is_ready(region, group, member, now, _warmup(group, refresh) if successor else 0)


def _warmup(group: Group, refresh: Refresh | None) -> int:
    own = refresh.preference("InstanceWarmup") if refresh else None
    if own is not None and int(own) >= 0:
        return int(own)
    if group.default_instance_warmup is not None:
        return group.default_instance_warmup
    return group.health_check_grace_period


def matches(region: Region, configuration: Configuration, member: Member) -> bool:
    """Whether the configuration would launch the same template version and type as the instance has."""
    current = template.current_template(region, configuration)
    names = template.candidate_types(region, configuration)
    return member.template == current and member.ec2.instance_type in names


def unmark(group: Group) -> None:
    """Cancel the replacements that have not begun."""
    for member in group.members:
        if member.mark is not None and member.mark.launch_first:
            member.mark = None
    group.vacancies.clear()
