"""How far back to look, as a person writes it: 90s, 15m, 2h, 7d."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ollama_gpu.errors import UserError

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse(text: str) -> timedelta:
    """The duration. Raises UserError (status 2) for anything else, and for none at all."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if found is None or int(found[1]) == 0:
        raise UserError(f"{text!r} is no time span.", "Write a number and s, m, h or d: --since 15m", status=2)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def before_now(text: str) -> datetime:
    """The moment that lies so far back, in UTC."""
    return datetime.now(UTC) - parse(text)
