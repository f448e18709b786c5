"""Work side by side: results, the first failure, and the end of every thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.side_by_side import Cancelled, cancelled, side_by_side

SECONDS = 10.0


def until_cancelled() -> None:
    deadline = time.monotonic() + SECONDS
    while not cancelled():
        assert time.monotonic() < deadline, "the work was not cancelled"
        time.sleep(0.01)
    raise Cancelled("the other work")


def fail() -> None:
    raise UserError("no space left")


def test_functions_run_at_the_same_time() -> None:
    met = threading.Barrier(2, timeout=SECONDS)
    with side_by_side() as beside:
        one = beside.start(met.wait)
        two = beside.start(met.wait)
        assert sorted([beside.result(one), beside.result(two)]) == [0, 1]


def test_failure_cancels_the_other_work_and_is_the_error_that_is_raised() -> None:
    started: list[Future[None]] = []

    def work() -> None:
        with side_by_side() as beside:
            started.append(beside.start(until_cancelled))
            beside.start(fail)
            beside.result(started[0])

    with pytest.raises(UserError, match="no space left"):
        work()
    assert started[0].done()
    assert not cancelled()


def test_failure_is_raised_at_the_end_even_if_no_result_is_asked_for() -> None:
    with pytest.raises(UserError, match="no space left"), side_by_side() as beside:
        beside.start(fail)


def interrupted(work: Callable[[], None]) -> BaseException | None:
    """The exception of work beside a caller who is interrupted."""
    with suppress(KeyboardInterrupt), side_by_side() as beside:
        running = beside.start(work)
        raise KeyboardInterrupt
    return running.exception()


def test_interrupt_of_the_caller_cancels_the_work() -> None:
    assert isinstance(interrupted(until_cancelled), Cancelled)


def test_cancellation_reaches_work_that_the_work_started() -> None:
    def nested() -> None:
        with side_by_side() as inner:
            inner.result(inner.start(until_cancelled))

    assert isinstance(interrupted(nested), Cancelled)
