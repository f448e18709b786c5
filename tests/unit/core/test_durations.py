"""Parsing durations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ollama_gpu.core.durations import parse
from ollama_gpu.core.errors import UserError


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        (" 2h ", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
    ],
)
def test_number_with_unit_is_a_duration(text: str, duration: timedelta) -> None:
    assert parse(text) == duration


@pytest.mark.parametrize("text", ["", "15", "m", "0m", "-5m", "1w", "1h30m", "9999999d"])
def test_invalid_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="not a valid duration") as refused:
        parse(text)
    assert (refused.value.status, "15m" in refused.value.remedy) == (2, True)
