"""Scheduled actions: bounds and capacity that change at a time, once or again and again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from . import activities
from .clock import aware
from .cron import Cron
from .errors import ValidationError
from .group import Group, Json


@dataclass
class ScheduledAction:
    """An action and when it is due next; None once it never is again."""

    name: str
    group: str
    arn: str
    due: datetime | None
    end: datetime | None
    recurrence: str | None
    time_zone: str | None
    min_size: int | None
    max_size: int | None
    desired_capacity: int | None

    def describe(self) -> Json:
        return {
            "AutoScalingGroupName": self.group,
            "ScheduledActionName": self.name,
            "ScheduledActionARN": self.arn,
            "Time": self.due,
            "StartTime": self.due,
            "EndTime": self.end,
            "Recurrence": self.recurrence,
            "TimeZone": self.time_zone,
            "MinSize": self.min_size,
            "MaxSize": self.max_size,
            "DesiredCapacity": self.desired_capacity,
        }

    def following(self, moment: datetime) -> datetime | None:
        """The next time after a moment, by the recurrence."""
        if self.recurrence is None:
            return None
        found = Cron(self.recurrence).next_after(moment, ZoneInfo(self.time_zone or "UTC"))
        return found if found and (self.end is None or found <= self.end) else None


def put(group: Group, arn: str, given: Json, now: datetime) -> ScheduledAction:
    """Create an action or replace it. Raises ValidationError for what AWS refuses too."""
    sizes = [given.get(name) for name in ("MinSize", "MaxSize", "DesiredCapacity")]
    if all(size is None for size in sizes):
        raise ValidationError("At least one of MinSize, MaxSize and DesiredCapacity must be specified.")
    start = given.get("StartTime") or given.get("Time")
    name = given["ScheduledActionName"]
    action = ScheduledAction(
        name,
        group.name,
        group.scheduled[name].arn if name in group.scheduled else arn,
        aware(start) if start else None,
        aware(given["EndTime"]) if given.get("EndTime") else None,
        given.get("Recurrence"),
        given.get("TimeZone"),
        *sizes,
    )
    if action.due is not None and action.due < now:
        raise ValidationError(f"Given start time {action.due.isoformat()} is in the past")
    if action.recurrence is None and action.due is None:
        raise ValidationError("StartTime or Recurrence must be specified.")
    try:
        if action.recurrence is not None:
            # the first occurrence may be the start itself
            action.due = action.following((action.due or now) - timedelta(seconds=1 if action.due else 0))
        elif action.time_zone is not None:
            ZoneInfo(action.time_zone)
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise ValidationError(f"Given recurrence string or time zone is invalid: {error}") from error
    group.scheduled[name] = action
    return action


def run(group: Group, now: datetime) -> None:
    """Carry out what is due; what was missed while nobody ticked happens once."""
    if not group.allows("ScheduledActions"):
        return
    due = [action for action in group.scheduled.values() if action.due is not None and action.due <= now]
    for action in sorted(due, key=lambda action: action.due or now):
        _carry_out(group, action, now)
        action.due = action.following(now)
        if action.recurrence is None:
            del group.scheduled[action.name]  # AWS deletes an action that was for once


def _carry_out(group: Group, action: ScheduledAction, now: datetime) -> None:
    low = group.min_size if action.min_size is None else action.min_size
    high = group.max_size if action.max_size is None else action.max_size
    if low > high:
        return
    desired = group.desired_capacity if action.desired_capacity is None else action.desired_capacity
    desired = max(low, min(high, desired))
    group.min_size, group.max_size = low, high
    group.resize(desired, activities.scheduled_update(low, high, desired, now))
