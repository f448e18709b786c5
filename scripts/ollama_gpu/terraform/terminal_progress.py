"""Show the progress of long work on a terminal: one live line for each stage that runs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

from ollama_gpu.terraform.events import Event, WaitingForLock
from ollama_gpu.terraform.progress import TICK_SECONDS, Clock, Lanes, Tally, duration

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


class _Screen:
    """The live lines that the views of concurrent work share."""

    def __init__(self, console: Console, clock: Clock, ticks: bool) -> None:
        self.lanes = Lanes(ticks)
        self.clock = clock
        self.console = console
        self._bars: Progress | None = None

    def add(self, stage: str) -> TaskID:
        with self.lanes.lock:
            if self._bars is None:
                self._bars = _bars(self.console)
                self._bars.start()
            return self._bars.add_task(stage, total=None, counts="", time="", slowest="")

    def show(self, task: TaskID, stage: str, tally: Tally) -> None:
        with self.lanes.lock:
            if self._bars is None:
                return
            total = max(tally.total, tally.done) if stage == "apply" and tally.total else None
            self._bars.update(
                task, completed=tally.done, total=total, counts=tally.counts(stage), time=tally.time,
                slowest=tally.slowest(), refresh=True,
            )  # fmt: skip

    def remove(self, task: TaskID) -> None:
        with self.lanes.lock:
            if self._bars is None:
                return
            self._bars.remove_task(task)
            if not self._bars.tasks:
                self._bars.stop()
                self._bars = None


class TerminalProgress:
    """One live line: stage, bar, how far it is, elapsed and usual time, and the slowest operation."""

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Clock = time.monotonic,
        width: int | None = None,
        force_terminal: bool | None = None,
        ticks: bool = False,
    ) -> None:
        from rich.console import Console  # takes 40 ms, needed only on a terminal

        stream = stream if stream is not None else sys.stderr
        self._share(_Screen(Console(file=stream, width=width, force_terminal=force_terminal), clock, ticks))

    def _share(self, screen: _Screen) -> None:
        self._screen = screen
        self._stage = ""
        self._tally = Tally(screen.clock)
        self._task: TaskID | None = None
        self._drawn = 0.0

    def beside(self) -> Self:
        view = type(self).__new__(type(self))
        view._share(self._screen)
        return view

    def started(self, stage: str, usual: float | None = None) -> None:
        with self._screen.lanes.lock:
            self._stage = stage
            self._tally = Tally(self._screen.clock, usual)
            self._task = self._screen.add(stage)
            self._drawn = 0.0
            self._screen.lanes.add(self)

    def event(self, event: Event) -> None:
        with self._screen.lanes.lock:
            self._tally.add(event)
        if isinstance(event, WaitingForLock):
            self.notice(f"{self._stage}: waiting for the state lock")

    def detail(self, text: str) -> None:
        self._tally.detail = text

    def tick(self) -> None:
        with self._screen.lanes.lock:
            now = self._screen.clock()
            if self._task is None or now - self._drawn < TICK_SECONDS:
                return
            self._drawn = now
            self._screen.show(self._task, self._stage, self._tally)

    def notice(self, text: str) -> None:
        self._screen.console.print(text, markup=False, highlight=False)

    def finished(self, outcome: str) -> None:
        self._screen.lanes.remove(self)
        if self._task is not None:
            self._screen.remove(self._task)
            self._task = None
        self.notice(f"{self._stage}: {outcome} in {duration(self._tally.elapsed)}")


def _bars(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    # markup=False: otherwise `aws_subnet.this["a"]` is parsed as a style. auto_refresh=False: `tick` redraws.
    columns = [
        TextColumn(f"{{task.{name}}}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
        for name in ("description", "fields[counts]", "fields[time]", "fields[slowest]")
    ]
    return Progress(
        columns[0], BarColumn(bar_width=20), *columns[1:], console=console, auto_refresh=False, transient=True
    )
