"""Auto Scaling's state of one account and region, kept beside moto's backend and reset with it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.autoscaling.models import autoscaling_backends

from .group import Group, Member

if TYPE_CHECKING:
    from .activities import Activity

_ATTRIBUTE = "ollama_gpu_region"


class Region:
    """The groups, the activities and the clock of one account and region."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.account: str = backend.account_id
        self.name: str = backend.region_name
        self.partition: str = backend.partition
        self.activities: list[Activity] = []  # newest first, those of deleted groups too
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
        """The present, never before a tick that has been: tests drive the ticks ahead of the wall clock."""
        return max(self._clock, datetime.now(UTC))

    def advance(self, now: datetime) -> datetime:
        """Set the clock to a tick's time and return the time that holds."""
        self._clock = max(self._clock, now)
        return self._clock

    def member(self, instance_id: str) -> tuple[Group, Member] | None:
        for group in self.groups.values():
            if member := group.member(instance_id):
                return group, member
        return None


def region_of(backend: Any) -> Region:
    """The region that belongs to a moto backend; moto's reset forgets it, as it forgets all attributes."""
    found: Region | None = backend.__dict__.get(_ATTRIBUTE)
    if found is None:
        found = backend.__dict__[_ATTRIBUTE] = Region(backend)
    return found


def find_region(account: str, name: str) -> Region:
    """The region of an account by its name."""
    return region_of(autoscaling_backends[account][name])


def all_regions() -> Iterator[Region]:
    """Every account and region that has been asked for anything."""
    for backends in list(autoscaling_backends.values()):
        for backend in list(backends.values()):
            yield region_of(backend)
