"""Scheduled actions: change bounds and capacity at a given time, once or repeatedly."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ollama_gpu.core import cron

from . import activities
from .errors import ValidationError
from .model import Group, Json, ScheduledAction
from .timestamps import aware


def put(group: Group, arn: str, given: Json, now: datetime) -> ScheduledAction:
    """Create or replace an action. Raises ValidationError if AWS would reject it."""
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
            action.due = _next_time(action, (action.due or now) - timedelta(seconds=1 if action.due else 0))
        elif action.time_zone is not None:
            ZoneInfo(action.time_zone)
    except (ValueError, ZoneInfoNotFoundError) as error:
        raise ValidationError(f"Given recurrence string or time zone is invalid: {error}") from error
    group.scheduled[name] = action
    return action


def run(group: Group, now: datetime) -> None:
    """Execute the actions that are due. An action that was missed several times between ticks runs once."""
    if not group.allows("ScheduledActions"):
        return
    due = [action for action in group.scheduled.values() if action.due is not None and action.due <= now]
    for action in sorted(due, key=lambda action: action.due or now):
        _execute(group, action, now)
        action.due = _next_time(action, now)
        if action.recurrence is None:
            del group.scheduled[action.name]  # AWS deletes an action without a recurrence


def _execute(group: Group, action: ScheduledAction, now: datetime) -> None:
    low = group.min_size if action.min_size is None else action.min_size
    high = group.max_size if action.max_size is None else action.max_size
    if low > high:
        return
    desired = group.desired_capacity if action.desired_capacity is None else action.desired_capacity
    desired = max(low, min(high, desired))
    group.min_size, group.max_size = low, high
    group.resize(desired, activities.scheduled_update(low, high, desired, now))


def _next_time(action: ScheduledAction, after: datetime) -> datetime | None:
    """Return the action's next time by its recurrence, or None."""
    if action.recurrence is None:
        return None
    found = cron.next_after(action.recurrence, after, ZoneInfo(action.time_zone or "UTC"))
    return found if found and (action.end is None or found <= action.end) else None
