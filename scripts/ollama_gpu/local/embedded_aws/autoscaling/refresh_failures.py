"""Conditions that fail a refresh: an alarm, failed launches, lost successors, or no progress."""

from __future__ import annotations

from datetime import datetime

from moto.cloudwatch.models import cloudwatch_backends

from .model import Group, Refresh
from .refresh import matches
from .region import Region
from .settings import settings


def problem(region: Region, group: Group, refresh: Refresh, now: datetime) -> str | None:
    """Return the reason for which the refresh fails, or None."""
    if not refresh.rolling_back and (alarm := _alarm(region, refresh)):
        return f"Alarm {alarm} is in ALARM state."
    present = {member.id: member for member in group.members}
    target = group.current_configuration
    for member in present.values():
        new = member.id not in refresh.todo and member.launched >= refresh.start
        if new and not member.terminating and matches(region, target, member):
            refresh.successors.add(member.id)
    lost = {
        instance_id
        for instance_id in refresh.successors
        if instance_id not in present or present[instance_id].terminating
    }
    refresh.successors -= lost
    refresh.failures += len([instance_id for instance_id in lost if not _scaled_in(region, instance_id)])
    limit = settings.refresh_failed_launches
    if group.failed_launches >= limit or refresh.failures >= limit:
        return f"{limit} new instances failed to launch or to become healthy: {_last_failure(region, group)}"
    if refresh.progress_at is not None and now - refresh.progress_at > settings.refresh_timeout:
        return "No progress: instances are not healthy, protected from scale in, or on standby."
    return None


def _scaled_in(region: Region, instance_id: str) -> bool:
    """Whether a scale-in terminated the instance."""
    ending = f"Terminating EC2 instance: {instance_id}"
    activity = next((each for each in region.activities if each.description == ending), None)
    return activity is not None and "health" not in activity.cause


def _last_failure(region: Region, group: Group) -> str:
    for activity in region.activities:
        unhealthy = "taken out" in activity.cause and "health" in activity.cause
        if activity.group == group.name and (activity.message or unhealthy):
            return activity.message or activity.cause
    return "see the scaling activities."


def _alarm(region: Region, refresh: Refresh) -> str | None:
    names = (refresh.preference("AlarmSpecification") or {}).get("Alarms") or []
    known = cloudwatch_backends[region.account][region.name].alarms
    return next((name for name in names if name in known and known[name].state_value == "ALARM"), None)
