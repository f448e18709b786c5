"""The state of Auto Scaling in one account and region. It is an attribute of moto's backend and is reset with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.autoscaling.models import autoscaling_backends

from .model import Activity, Group, Member

_ATTRIBUTE = "ollama_gpu_region"


class Region:
    """The groups, the activities and the clock of one account and region."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.account: str = backend.account_id
        self.name: str = backend.region_name
        self.partition: str = backend.partition
        self.activities: list[Activity] = []  # newest first, including those of deleted groups
        self._clock = datetime.min.replace(tzinfo=UTC)

    @property
    def groups(self) -> dict[str, Group]:
        groups: dict[str, Group] = self.backend.autoscaling_groups
        return groups

    @property
    def ec2(self) -> Any:
        return self.backend.ec2_backend

    @property
    def elbv2(self) -> Any:
        return self.backend.elbv2_backend

    def now(self) -> datetime:
        """Return the later of the current time and the latest tick. Tests tick ahead of the wall clock."""
        return max(self._clock, datetime.now(UTC))

    def advance(self, now: datetime) -> datetime:
        """Move the clock forward to the time of a tick and return it. The clock never moves back."""
        self._clock = max(self._clock, now)
        return self._clock

    def member(self, instance_id: str) -> tuple[Group, Member] | None:
        for group in self.groups.values():
            if member := group.member(instance_id):
                return group, member
        return None


def region_of(backend: Any) -> Region:
    """Return the region of a moto backend. moto's reset drops it, as it drops all attributes."""
    found: Region | None = backend.__dict__.get(_ATTRIBUTE)
    if found is None:
        found = backend.__dict__[_ATTRIBUTE] = Region(backend)
    return found


def find_region(account: str, name: str) -> Region:
    """Return the region of an account by its name."""
    return region_of(autoscaling_backends[account][name])


def all_regions() -> Iterator[Region]:
    """Yield the region of every backend that moto has created."""
    for backends in list(autoscaling_backends.values()):
        for backend in list(backends.values()):
            yield region_of(backend)
