"""Looking again and again: what a refusal of AWS and Ctrl-C do to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ConnectTimeoutError

from ollama_gpu.watching import LEAST_SECONDS, watch

REFUSED = ConnectTimeoutError(endpoint_url="https://monitoring.example")


def reader(*answers: int | Exception) -> Callable[[], int]:
    """Gives one answer after another, and then Ctrl-C."""
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


def looks(read: Callable[[], int], every: float = 5.0) -> tuple[list[tuple[int, bool]], list[float]]:
    """What was shown, with whether there was trouble, and the pauses."""
    shown: list[tuple[int, bool]] = []
    slept: list[float] = []
    watch(read, lambda seen, trouble: shown.append((seen, bool(trouble))), every, slept.append)
    return shown, slept


def test_it_looks_until_ctrl_c_and_ends_without_an_error() -> None:
    assert looks(reader(1, 2, 3)) == ([(1, False), (2, False), (3, False)], [5.0, 5.0, 5.0])


def test_a_refusal_shows_what_was_seen_before_and_the_next_look_may_go_well() -> None:
    assert looks(reader(1, REFUSED, 3))[0] == [(1, False), (1, True), (3, False)]


def test_the_first_look_must_go_well() -> None:
    with pytest.raises(ConnectTimeoutError):
        looks(reader(REFUSED))


def test_nobody_asks_aws_without_a_pause() -> None:
    assert looks(reader(1, 2), every=0)[1] == [LEAST_SECONDS, LEAST_SECONDS]
