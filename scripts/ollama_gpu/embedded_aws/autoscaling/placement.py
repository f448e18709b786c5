"""Which zone, type and purchase option the next instance gets, and which instance goes first: pure decisions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence

from .group import Json, Member, Place

Offered = Callable[[str, str], bool]  # (instance type, zone)


def balanced(places: Sequence[Place], members: Iterable[Member]) -> list[Place]:
    """The places, those of the emptiest zone first and in it the emptiest subnet; ties in the given order."""
    members = list(members)
    zones = Counter(member.place.zone for member in members)
    subnets = Counter(member.place for member in members)
    return sorted(places, key=lambda place: (zones[place.zone], subnets[place], places.index(place)))


def choose_type(types: Sequence[str], zone: str, offered: Offered) -> str | None:
    """The first type that the zone offers."""
    return next((name for name in types if offered(name, zone)), None)


def on_demand_share(capacity: int, distribution: Json) -> int:
    """How much of a capacity is on demand: the base, then the percentage above it, rounded up as AWS does."""
    base = int(distribution.get("OnDemandBaseCapacity") or 0)
    percent = int(distribution.get("OnDemandPercentageAboveBaseCapacity", 100))
    above = max(0, capacity - base)
    return min(capacity, base) + math.ceil(above * percent / 100)


def wants_spot(members: Iterable[Member], distribution: Json) -> bool:
    """Whether the next instance is a spot one, so that the two kinds alternate by the percentage."""
    members = list(members)
    on_demand = sum(member.weight for member in members if not member.spot)
    total = sum(member.weight for member in members)
    return on_demand >= on_demand_share(total + 1, distribution)


def choose_victim(
    members: Collection[Member], policies: Sequence[str], distribution: Json, current: Collection[tuple[str, str]]
) -> Member | None:
    """The instance that a scale-in ends: from the fullest zone, by the termination policies, never a protected one.

    ``current`` are the template ids and versions the group launches now; all others are outdated. For Default: what
    restores the share of on-demand, then the outdated template, then the oldest instance (by Auto Scaling's guide,
    "Default termination policy"; the billing hour of its last step is by the second now).
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
    current: Collection[tuple[str, str]],
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
        case _:  # OldestLaunchConfiguration, ClosestToNextInstanceHour: nothing here tells the instances apart
            return candidates


def _of_surplus_kind(candidates: list[Member], members: Collection[Member], distribution: Json) -> list[Member]:
    left = sum(member.weight for member in members) - 1
    on_demand = sum(member.weight for member in members if not member.spot)
    spot_goes = on_demand <= on_demand_share(left, distribution)
    return [member for member in candidates if member.spot == spot_goes] or candidates


def _outdated(candidates: list[Member], current: Collection[tuple[str, str]]) -> list[Member]:
    others = [member for member in candidates if (member.template.id, member.template.version) not in current]
    if not others:
        return candidates
    oldest = min(int(member.template.version) for member in others)
    return [member for member in others if int(member.template.version) == oldest]
