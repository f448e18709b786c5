"""Unix cron expressions with five fields, as the recurrences of Auto Scaling's scheduled actions use them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError


def next_after(expression: str, moment: datetime, zone: ZoneInfo) -> datetime | None:
    """The first occurrence later than ``moment``, by the clock of ``zone``; None if the expression never matches.

    Raises ValueError for an expression that is not valid.
    """
    fields = len(expression.split())
    if fields != 5:  # cronsim also takes a field of seconds, which Auto Scaling refuses
        raise ValueError(f"{expression!r} has {fields} fields, not 5")
    try:
        following = next(CronSim(expression, moment.astimezone(zone)), None)
    except CronSimError as error:
        raise ValueError(f"{expression!r} is not a cron expression: {error}") from error
    return following.astimezone(moment.tzinfo) if following else None
