"""An instance refresh and what can be asked of it; ``refresh_machine`` moves it on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import health, template
from .group import Configuration, Group, Json, Member
from .region import Region

PENDING = "Pending"
IN_PROGRESS = "InProgress"
BAKING = "Baking"
SUCCESSFUL = "Successful"
FAILED = "Failed"
CANCELLING = "Cancelling"
CANCELLED = "Cancelled"
ROLLBACK_IN_PROGRESS = "RollbackInProgress"
ROLLBACK_SUCCESSFUL = "RollbackSuccessful"
ROLLBACK_FAILED = "RollbackFailed"

ACTIVE = (PENDING, IN_PROGRESS, BAKING, CANCELLING, ROLLBACK_IN_PROGRESS)


@dataclass
class Refresh:
    """A refresh of a group. ``preferences`` are the request's, in the API's own shape, with the defaults."""

    group: str
    preferences: Json
    desired: Configuration | None
    start: datetime
    status: str = PENDING
    reason: str | None = None
    end: datetime | None = None
    total: int = 0
    remaining: int = 0
    percentage: int = 0
    todo: set[str] = field(default_factory=set)  # instances still to be replaced
    successors: set[str] = field(default_factory=set)  # those that were seen launched from the new configuration
    failures: int = 0  # successors that were lost
    progress: tuple[int, int] = (-1, -1)
    progress_at: datetime | None = None
    paused_until: datetime | None = None
    checkpoints_passed: int = 0
    bake_until: datetime | None = None
    rollback: Json | None = None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def rolling_back(self) -> bool:
        return self.status == ROLLBACK_IN_PROGRESS

    def preference(self, name: str, default: Any = None) -> Any:
        value = self.preferences.get(name)
        return default if value is None else value

    def describe(self) -> Json:
        described = {
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": self.group,
            "Strategy": "Rolling",
            "Status": self.status,
            "StatusReason": self.reason,
            "StartTime": self.start,
            "EndTime": self.end,
            "PercentageComplete": self.percentage,
            "InstancesToUpdate": self.remaining,
            "Preferences": self.preferences,
            "DesiredConfiguration": self.desired.describe() if self.desired else None,
        }
        if self.rollback is not None:
            described["RollbackDetails"] = self.rollback
        return described


def active(group: Group) -> Refresh | None:
    """The refresh that is under way, if one is."""
    return next((refresh for refresh in group.refreshes if refresh.active), None)


def is_ready(region: Region, group: Group, member: Member, now: datetime) -> bool:
    """Whether an instance does its work; one that a refresh launched has to be warm as well."""
    refresh = active(group)
    successor = refresh is not None and member.id not in refresh.todo
    return health.is_ready(region, group, member, now, _warmup(group, refresh) if successor else 0)


def _warmup(group: Group, refresh: Refresh | None) -> int:
    own = refresh.preference("InstanceWarmup") if refresh else None
    if own is not None and int(own) >= 0:
        return int(own)
    if group.default_instance_warmup is not None:
        return group.default_instance_warmup
    return group.health_check_grace_period


def matches(region: Region, configuration: Configuration, member: Member) -> bool:
    """Whether an instance is what the configuration would launch."""
    current = template.current_templates(region, configuration)
    names = [name for name, _, _ in template.candidate_types(region, configuration)]
    return (member.template.id, member.template.version) in current and member.ec2.instance_type in names


def unmark(group: Group) -> None:
    """Take back the marks whose replacement has not begun."""
    for member in group.members:
        if member.mark is not None and member.mark.launch_first:
            member.mark = None
    group.vacancies.clear()
