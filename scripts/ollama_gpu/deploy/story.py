"""The steps of a deploy of ENV=local as its user sees them: the plan at the start, each step, and its duration."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ollama_gpu.core.console import note
from ollama_gpu.local.usual import Usual
from ollama_gpu.terraform.progress import duration

if TYPE_CHECKING:
    from ollama_gpu.bake.forecast import Forecast


class Story:
    """Announces and times steps. Without a forecast it says nothing: another environment has no such steps."""

    def __init__(
        self,
        forecast: Forecast | None = None,
        usual: Usual | None = None,
        say: Callable[[str], None] = note,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._steps = forecast.steps if forecast else ()
        self._usual = usual
        self._say = say
        self._clock = clock
        self._record = ""
        self._began = 0.0
        if forecast:
            say(f"ENV=local: {forecast.headline}")

    def begin(self, name: str, record: str = "") -> None:
        """End the step that runs, and announce the next one. Its duration is kept under ``record``, if given."""
        self.end()
        self._record, self._began = record, self._clock()
        for number, step in enumerate(self._steps, 1):
            if step.name == name:
                expected = f", usually {duration(step.seconds)}" if step.seconds >= 1 else ""
                self._say(f"step {number} of {len(self._steps)}: {name}: {step.what}{expected}")

    @contextmanager
    def timed(self, record: str, when: bool) -> Iterator[None]:
        """Keep the duration of work inside a step under ``record``, if ``when``."""
        began = self._clock()
        yield
        if self._usual and when:
            self._usual.record(record, self._clock() - began)

    def keep_no_durations(self) -> None:
        """Keep no duration from now on: this deploy has less to do than a first one."""
        self._usual, self._record = None, ""

    def end(self) -> None:
        """End the step that runs."""
        if self._usual and self._record:
            self._usual.record(self._record, self._clock() - self._began)
        self._record = ""
