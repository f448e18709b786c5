"""Decide a group's size by target tracking, as Amazon EC2 Auto Scaling does.

A group grows when one policy's metric has been above its target for three minutes, in proportion to how far above. It
shrinks when every policy that may scale in has been below 90 % of its target for fifteen minutes, one instance at a
time. A minute without data decides nothing. The periods and the 90 % are those of the CloudWatch alarms that AWS
creates for such a policy. The capacity simulator and the embedded AWS both use these functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HIGH_PERIODS = 3
"""Minutes above the target before a group grows."""
LOW_PERIODS = 15
"""Minutes below ``LOW_SHARE`` of the target before a group shrinks."""
LOW_SHARE = 0.9

Series = Sequence[float | None]
"""A metric's value per minute, the latest last; None for a minute without data."""


@dataclass(frozen=True)
class Proposal:
    """The capacity that one policy wants; None where its metric decides nothing."""

    policy: str
    capacity: int | None
    may_scale_in: bool = True


def decide(desired: int, proposals: Sequence[Proposal], *, warming: bool) -> Proposal | None:
    """The proposal that a group follows; None if it keeps its size.

    A policy that may not scale in does not prevent the others from it. A group does not shrink while an instance warms
    up. When it shrinks, the capacity is one less than ``desired``.
    """
    growing = [each for each in proposals if each.capacity is not None and each.capacity > desired]
    if growing:
        return max(growing, key=_capacity)
    voters = [each for each in proposals if each.may_scale_in]
    agreed = [each for each in voters if each.capacity is not None and each.capacity < desired]
    if warming or not voters or len(agreed) < len(voters):
        return None
    return Proposal(max(agreed, key=_capacity).policy, desired - 1)


def propose(capacity: int, target: float, values: Series, may_scale_in: bool) -> int | None:
    """The capacity that one policy wants, by its metric's values; None if it wants no change."""
    latest = values[-1] if values else None
    if latest is None or target <= 0:
        return None
    recent = values[-HIGH_PERIODS:]
    if len(recent) == HIGH_PERIODS and all(value is not None and value > target for value in recent):
        return max(capacity + 1, math.ceil(capacity * latest / target))
    long = values[-LOW_PERIODS:]
    low = len(long) == LOW_PERIODS and all(value is not None and value < target * LOW_SHARE for value in long)
    return math.ceil(capacity * latest / target) if may_scale_in and low else None


def _capacity(proposal: Proposal) -> int:
    return proposal.capacity or 0
