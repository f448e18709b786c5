"""A time span as a person writes it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.since import parse


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        (" 2h ", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
    ],
)
def test_a_number_and_a_unit_are_a_time_span(text: str, span: timedelta) -> None:
    assert parse(text) == span


@pytest.mark.parametrize("text", ["", "15", "m", "0m", "-5m", "1w", "1h30m", "9999999d"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="no time span") as refused:
        parse(text)
    assert (refused.value.status, "15m" in refused.value.remedy) == (2, True)
