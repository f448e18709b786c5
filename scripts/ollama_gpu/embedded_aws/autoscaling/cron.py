"""Unix cron expressions with five fields, as scheduled actions use them."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_HORIZON = timedelta(days=4 * 366)  # a 29 February comes within four years, but for the turn of a century


class Cron:
    """An expression `minute hour day-of-month month day-of-week`. Raises ValueError if it is none."""

    def __init__(self, expression: str) -> None:
        fields = expression.split()
        if len(fields) != 5:
            raise ValueError(f"{expression!r} has {len(fields)} fields, not 5")
        self._minutes = _parse(fields[0], 0, 59)
        self._hours = _parse(fields[1], 0, 23)
        self._days = _parse(fields[2], 1, 31)
        self._months = _parse(fields[3], 1, 12, _MONTHS)
        self._weekdays = {day % 7 for day in _parse(fields[4], 0, 7, _DAYS)}
        # cron's oldest trap: where both days are restricted, either is enough
        self._either_day = not fields[2].startswith("*") and not fields[4].startswith("*")

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime | None:
        """The first occurrence later than ``moment``, by the clock of ``zone``; None if there is none in years."""
        local = moment.astimezone(zone).replace(second=0, microsecond=0)
        day = local.replace(hour=0, minute=0)
        while day - local < _HORIZON:
            if day.month in self._months and self._on(day):
                for hour in sorted(self._hours):
                    for minute in sorted(self._minutes):
                        found = day.replace(hour=hour, minute=minute)
                        if found.timestamp() > moment.timestamp():
                            return found.astimezone(moment.tzinfo)
            day = (day + timedelta(days=1)).replace(hour=0, minute=0)
        return None

    def _on(self, day: datetime) -> bool:
        by_month = day.day in self._days
        by_week = (day.weekday() + 1) % 7 in self._weekdays
        return by_month or by_week if self._either_day else by_month and by_week


def _parse(field: str, lowest: int, highest: int, names: tuple[str, ...] = ()) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            start, end = lowest, highest
        else:
            start = _number(first, lowest, names)
            end = _number(last, lowest, names) if last else (highest if step else start)
        if not lowest <= start <= end <= highest or (step and int(step) < 1):
            raise ValueError(f"{part!r} is not within {lowest} to {highest}")
        found.update(range(start, end + 1, int(step or 1)))
    return found


def _number(text: str, lowest: int, names: tuple[str, ...]) -> int:
    short = text.lower()
    return names.index(short) + lowest if short in names else int(text)
