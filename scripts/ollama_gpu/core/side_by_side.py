"""Run functions side by side: a failure or an interrupt cancels the others, and every thread has ended afterwards.

Only the main thread receives signals. A function that starts programs checks `cancelled` while it waits for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from ollama_gpu.core.errors import UserError

Result = TypeVar("Result")

_cancelled: ContextVar[tuple[threading.Event, ...]] = ContextVar("cancelled", default=())
_WAIT_SECONDS = 0.2  # a wait without a timeout would delay Ctrl-C


class Cancelled(UserError):
    """Work that ended because other work beside it failed or was interrupted."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was cancelled.", "Fix the error of the other step, then run the command again.")


def cancelled() -> bool:
    """Whether this thread's work should end: work beside it failed or was interrupted."""
    return any(event.is_set() for event in _cancelled.get())


class SideBySide:
    """Functions that run in threads. Use `side_by_side`, which waits for their end."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="beside")
        self._futures: list[Future[object]] = []

    def start(self, function: Callable[[], Result]) -> Future[Result]:
        """Run a function in a thread."""
        context = copy_context()
        context.run(_cancelled.set, (*_cancelled.get(), self._stop))
        future = self._threads.submit(context.run, function)
        self._futures.append(future)  # type: ignore[arg-type]
        return future

    def result(self, future: Future[Result]) -> Result:
        """Wait for a result. Raises the first exception of any function."""
        while not future.done():
            wait(self._pending(), _WAIT_SECONDS, FIRST_EXCEPTION)
            self.check()
        self.check()
        return future.result()

    def check(self) -> None:
        """Raise the exception of a function that failed."""
        if cancelled():
            raise Cancelled("The work")
        failures = [error for future in self._futures if future.done() and (error := future.exception())]
        causes: Sequence[BaseException] = [error for error in failures if not isinstance(error, Cancelled)]
        if failures:
            raise (causes or failures)[0]

    def _pending(self) -> list[Future[object]]:
        return [future for future in self._futures if not future.done()]

    def end(self, stop: bool) -> None:
        if stop:
            self._stop.set()
        self._threads.shutdown(wait=True, cancel_futures=stop)


@contextmanager
def side_by_side() -> Iterator[SideBySide]:
    """Start functions in threads; at the end wait for all. An exception cancels those that still run."""
    group = SideBySide()
    try:
        yield group
        for future in list(group._futures):
            group.result(future)
    except BaseException:
        group.end(stop=True)
        raise
    group.end(stop=False)
