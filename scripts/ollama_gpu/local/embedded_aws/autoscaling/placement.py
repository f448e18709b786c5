"""Choose zone, type and purchase option of the next instance, and the instance that a scale-in terminates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from .model import Json, Member, Place, Template

Offered = Callable[[str, str], bool]  # (instance type, zone)


def balanced(places: Sequence[Place], members: Iterable[Member]) -> list[Place]:
    """Sort places by the fewest instances in the zone, then in the subnet. Ties keep the given order."""
    members = list(members)
    zones = Counter(member.place.zone for member in members)
    subnets = Counter(member.place for member in members)
    return sorted(places, key=lambda place: (zones[place.zone], subnets[place], places.index(place)))


def choose_type(types: Sequence[str], zone: str, offered: Offered) -> str | None:
    """Return the first type that the zone offers."""
    return next((name for name in types if offered(name, zone)), None)


def on_demand_share(capacity: int, distribution: Json) -> int:
    """Return the on-demand part of a capacity: the base plus the percentage above it, rounded up as in AWS."""
    base = int(distribution.get("OnDemandBaseCapacity") or 0)
    percent = int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100))
    above = max(0, capacity - base)
    return min(capacity, base) + math.ceil(above * percent / 100)


def wants_spot(members: Iterable[Member], distribution: Json) -> bool:
    """Whether the next instance is a spot instance, so that both kinds keep their share."""
    members = list(members)
    on_demand = sum(not member.spot for member in members)
    return on_demand >= on_demand_share(len(members) + 1, distribution)


def choose_for_termination(
    members: Collection[Member], policies: Sequence[str], distribution: Json, current: Template
) -> Member | None:
    """Choose the instance that a scale-in terminates: in the fullest zone, by the termination policies, not protected.

    ``current`` is the template version that the group launches now; all others are outdated. The
    policy Default chooses what restores the on-demand share, then an outdated template, then the oldest instance.
    The last step of AWS, the billing hour, has no effect because instances are billed by the second.
    Follows: Amazon EC2 Auto Scaling User Guide, "Default termination policy".
    """
    candidates = [member for member in members if not member.protected]
    if not candidates:
        return None
    zones = Counter(member.place.zone for member in members)
    fullest = max(zones[member.place.zone] for member in candidates)
    candidates = [member for member in candidates if zones[member.place.zone] == fullest]
    for policy in policies:
        candidates = _apply(policy, candidates, members, distribution, current)
    return min(candidates, key=lambda member: member.launched)


def _apply(
    policy: str,
    candidates: list[Member],
    members: Collection[Member],
    distribution: Json,
    current: Template,
) -> list[Member]:
    match policy:
        case "OldestInstance":
            return [min(candidates, key=lambda member: member.launched)]
        case "NewestInstance":
            return [max(reversed(candidates), key=lambda member: member.launched)]
        case "AllocationStrategy":
            return _of_surplus_kind(candidates, members, distribution)
        case "OldestLaunchTemplate":
            return _outdated(candidates, current)
        case "Default":
            return _outdated(_of_surplus_kind(candidates, members, distribution), current)
        case _:  # OldestLaunchConfiguration and ClosestToNextInstanceHour do not distinguish the instances here
            return candidates


def _of_surplus_kind(candidates: list[Member], members: Collection[Member], distribution: Json) -> list[Member]:
    on_demand = sum(not member.spot for member in members)
    spot_goes = on_demand <= on_demand_share(len(members) - 1, distribution)
    return [member for member in candidates if member.spot == spot_goes] or candidates


def _outdated(candidates: list[Member], current: Template) -> list[Member]:
    others = [member for member in candidates if member.template != current]
    if not others:
        return candidates
    oldest = min(int(member.template.version) for member in others)
    return [member for member in others if int(member.template.version) == oldest]
