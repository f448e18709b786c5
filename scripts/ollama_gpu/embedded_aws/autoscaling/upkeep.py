"""Replacements that nobody asked for: zones out of balance, and instances past their maximum lifetime."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from . import activities, template
from .clock import stamp
from .group import Group, Member, Replacement, weight
from .region import Region


def run(region: Region, group: Group, now: datetime) -> None:
    """Mark at most one instance, and only while the group rests: AWS moves no faster than it must."""
    resting = all(member.in_service and member.mark is None for member in group.members)
    if not resting or group.launching is not None or weight(group.members) != group.desired_capacity:
        return
    if group.no_launch_before is not None and now < group.no_launch_before:
        return
    if expired := _expired(group, now):
        reason = activities.taken_out("the maximum instance lifetime of the group.", now)
        launched = activities.launched_for("an instance that reached its maximum lifetime.", now)
        group.mark(expired, Replacement(reason, launch_first=True), launched)
    elif group.allows("AZRebalance") and (misplaced := _misplaced(region, group)):
        reason = activities.shrunk(weight(group.members) + 1, group.desired_capacity, misplaced.id, now)
        launched = (
            f"At {stamp(now)} an instance was launched to aid in balancing the group's zones, "
            "resulting in more than desired number of instances in the group."
        )
        group.mark(misplaced, Replacement(reason, launch_first=True), launched)


def _expired(group: Group, now: datetime) -> Member | None:
    if not group.max_instance_lifetime:
        return None
    lifetime = timedelta(seconds=group.max_instance_lifetime)
    return next((member for member in group.members if now - member.launched > lifetime), None)


def _misplaced(region: Region, group: Group) -> Member | None:
    """An instance outside the group's subnets, else one of a zone with two more than another that takes it."""
    movable = [member for member in group.members if not member.protected]
    outside = [member for member in movable if member.place not in group.places]
    if outside:
        return outside[0]
    offered = template.is_offered(region)
    names = [name for name, _, _ in template.candidate_types(region, group.configuration)]
    usable = {place.zone for place in group.places if any(offered(name, place.zone) for name in names)}
    counts = Counter(dict.fromkeys(usable, 0))
    counts.update(member.place.zone for member in group.members)
    crowded = [member for member in movable if counts[member.place.zone] >= 2 + min(counts.values())]
    return max(crowded, key=lambda member: (counts[member.place.zone], member.launched), default=None)
