"""Terminate an instance: drain its targets, wait for its hooks, then end it and remove it from the group."""

from __future__ import annotations

from datetime import datetime

from . import activities, events, launch, lifecycle, targets
from .model import TERMINATING, TERMINATING_WAIT, Activity, Group, Member
from .region import Region


def begin(region: Region, group: Group, member: Member, cause: str, now: datetime) -> Activity:
    """Take an instance out of service. Hooks delay the end only of an instance that was in service and still runs."""
    was_pending = member.pending
    if was_pending and member.activity is not None:
        member.activity.close(activities.CANCELLED, now, "The instance is no longer needed.")
        events.instance_event(region, group, member.id, member.activity, "Launch", now)
    member.mark = None
    member.actions = []
    member.lifecycle_state = TERMINATING
    member.activity = activities.open_activity(
        region, group, f"Terminating EC2 instance: {member.id}", cause, now, member.place
    )
    targets.deregister(region, group, member, drain=True)
    if (
        not was_pending
        and member.running
        and not group.deleting
        and lifecycle.begin(region, group, member, lifecycle.TERMINATING, now)
    ):
        member.lifecycle_state = TERMINATING_WAIT
    return member.activity


def advance(region: Region, group: Group, member: Member, now: datetime) -> None:
    """End an instance once no hook holds it. One abandoned action ends the wait for all hooks."""
    abandoned = lifecycle.resolve(member, now)
    if member.running and abandoned is None and lifecycle.waits(member) and not group.deleting:
        return
    activity = member.activity
    launch.end_instance(region, group, member)
    if activity is not None:
        activity.close(activities.SUCCESSFUL, now)
        events.instance_event(region, group, member.id, activity, "Terminate", now)
