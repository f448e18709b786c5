"""Durations such as 90s, 15m, 2h or 7d."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ollama_gpu.core.errors import UserError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str) -> timedelta:
    """Parse a duration. Raises UserError (status 2) if the text is not valid or the duration is zero."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if found is None or int(found[1]) == 0:
        raise UserError(
            f"{text!r} is not a valid duration.", "Use a number followed by s, m, h or d: --since 15m", status=2
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def before_now(text: str) -> datetime:
    """The time this duration before now, in UTC."""
    return datetime.now(UTC) - parse(text)
