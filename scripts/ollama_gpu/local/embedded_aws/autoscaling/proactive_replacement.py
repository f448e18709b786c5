"""Replace instances to balance the zones and at the end of their maximum lifetime."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from . import activities, template
from .model import Group, Member, Replacement
from .region import Region
from .timestamps import stamp


def run(region: Region, group: Group, now: datetime) -> None:
    """Mark at most one instance, and only while no other change of the group is in progress."""
    resting = all(member.in_service and member.mark is None for member in group.members)
    if not resting or group.launching is not None or len(group.members) != group.desired_capacity:
        return
    if group.no_launch_before is not None and now < group.no_launch_before:
        return
    if expired := _expired(group, now):
        reason = activities.taken_out("the maximum instance lifetime of the group.", now)
        launched = activities.launched_for("an instance that reached its maximum lifetime.", now)
        group.mark(expired, Replacement(reason, launch_first=True), launched)
    elif group.allows("AZRebalance") and (misplaced := _misplaced(region, group)):
        reason = activities.shrunk(len(group.members) + 1, group.desired_capacity, misplaced.id, now)
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
    """Return an instance outside the group's subnets, else one in a zone with at least two more than another zone."""
    movable = [member for member in group.members if not member.protected]
    outside = [member for member in movable if member.place not in group.places]
    if outside:
        return outside[0]
    offered = template.is_offered(region)
    names = template.candidate_types(region, group.configuration)
    usable = {place.zone for place in group.places if any(offered(name, place.zone) for name in names)}
    counts = Counter(dict.fromkeys(usable, 0))
    counts.update(member.place.zone for member in group.members)
    crowded = [member for member in movable if counts[member.place.zone] >= 2 + min(counts.values())]
    return max(crowded, key=lambda member: (counts[member.place.zone], member.launched), default=None)
