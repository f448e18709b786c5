"""Cron expressions of scheduled actions."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ollama_gpu.core import cron


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("30 6 * * *", "2026-03-01T06:30"),
        ("0 0 1 * *", "2026-04-01T00:00"),
        ("*/20 5 * * *", "2026-03-01T05:20"),
        ("0 9 * * 1", "2026-03-02T09:00"),
        ("0 9 13 * FRI", "2026-03-06T09:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
    ],
)
def test_next_occurrence_of_a_cron_expression(expression: str, expected: str) -> None:
    moment = datetime(2026, 3, 1, 5, 0, tzinfo=UTC)  # a Sunday
    found = cron.next_after(expression, moment, ZoneInfo("UTC"))
    assert found is not None
    assert found.isoformat(timespec="minutes").startswith(expected)


def test_cron_follows_daylight_saving_time_of_its_zone() -> None:
    zone = ZoneInfo("America/New_York")
    before = datetime(2026, 3, 7, 13, 30, tzinfo=UTC)  # the clock changes on 8 March
    first = cron.next_after("0 8 * * *", before, zone)
    assert first == datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
