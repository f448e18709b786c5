"""Repeated reads, with errors from AWS and Ctrl-C."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ConnectTimeoutError

from ollama_gpu.core.polling import LEAST_SECONDS, watch

REFUSED = ConnectTimeoutError(endpoint_url="https://monitoring.example")


def reader(*answers: int | Exception) -> Callable[[], int]:
    """A function that returns or raises one answer after another, then raises KeyboardInterrupt."""
    left: Iterator[int | Exception] = iter(answers)

    def read() -> int:
        try:
            answer = next(left)
        except StopIteration:
            raise KeyboardInterrupt from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read


def watched(read: Callable[[], int], every: float = 5.0) -> tuple[list[tuple[int, bool]], list[float]]:
    """The shown values, each with whether an error was shown, and the pauses."""
    shown: list[tuple[int, bool]] = []
    slept: list[float] = []
    watch(read, lambda value, problem: shown.append((value, bool(problem))), every, slept.append)
    return shown, slept


def test_ctrl_c_ends_watching_without_an_error() -> None:
    assert watched(reader(1, 2, 3)) == ([(1, False), (2, False), (3, False)], [5.0, 5.0, 5.0])


def test_after_an_error_the_last_value_is_shown_and_reading_continues() -> None:
    assert watched(reader(1, REFUSED, 3))[0] == [(1, False), (1, True), (3, False)]


def test_error_of_the_first_read_is_raised() -> None:
    with pytest.raises(ConnectTimeoutError):
        watched(reader(REFUSED))


def test_reads_have_a_minimum_pause() -> None:
    assert watched(reader(1, 2), every=0)[1] == [LEAST_SECONDS, LEAST_SECONDS]
