"""Health of instances: by EC2, by the load balancer, or set with SetInstanceHealth."""

from __future__ import annotations

from datetime import datetime, timedelta

from . import activities, targets
from .model import UNHEALTHY, Group, Member, Replacement
from .region import Region

_LAUNCH_REASON = "an unhealthy instance needing to be replaced."


def in_grace(group: Group, member: Member, now: datetime) -> bool:
    """Whether an instance is in its health check grace period."""
    since = member.in_service_since
    return since is not None and now < since + timedelta(seconds=group.health_check_grace_period)


def is_ready(region: Region, group: Group, member: Member, now: datetime, warmup: int) -> bool:
    """Whether an instance is healthy by all checks and has been in service for ``warmup`` seconds."""
    return (
        member.in_service
        and member.running
        and member.health != UNHEALTHY
        and member.in_service_since is not None
        and now >= member.in_service_since + timedelta(seconds=warmup)
        and ("ELB" not in group.health_check_type or targets.is_healthy(region, group, member))
    )


def check(region: Region, group: Group, now: datetime) -> None:
    """Mark the unhealthy instances that are in service for replacement."""
    if not group.allows("HealthCheck"):
        return
    for member in group.members:
        if not member.in_service or (member.mark is not None and not member.mark.launch_first):
            continue
        problem = _problem(region, group, member, now)
        if problem is None:
            continue
        member.health = UNHEALTHY
        if group.allows("ReplaceUnhealthy") and (member.mark is None or not member.running):
            _replace(group, member, problem, now)


def _problem(region: Region, group: Group, member: Member, now: datetime) -> str | None:
    if not member.running:
        return "an EC2 health check indicating it has been terminated or stopped."
    if member.health == UNHEALTHY:
        return "a user health-check."
    if (
        "ELB" in group.health_check_type
        and not in_grace(group, member, now)
        and targets.is_unhealthy(region, group, member)
    ):
        return "an ELB system health check failure."
    return None


def _replace(group: Group, member: Member, problem: str, now: datetime) -> None:
    policy = group.maintenance_policy or {}
    # "launch before terminating" needs at least 100 % healthy and a maximum above 100 %
    launch_first = (
        member.running
        and int(policy.get("MinHealthyPercentage", -1)) >= 100
        and int(policy.get("MaxHealthyPercentage", -1)) > 100
    )
    replacement = Replacement(activities.taken_out(problem, now), launch_first)
    if member.mark is None:
        group.mark(member, replacement, activities.launched_for(_LAUNCH_REASON, now))
    else:  # marked to leave after its successor, but it no longer runs
        member.mark = replacement
