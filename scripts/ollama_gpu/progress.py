"""What a person sees while Terraform works: a bar on a terminal, sparse lines in a log. All on stderr.

stdout belongs to the command's result, so that ``--json`` stays one clean document.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO

from ollama_gpu.terraform.events import (
    Event,
    OperationEnded,
    OperationStarted,
    ResourceChange,
    WaitingForLock,
)

if TYPE_CHECKING:
    from rich.progress import Progress

Clock = Callable[[], float]

HEARTBEAT_SECONDS = 10.0
_LINE_SECONDS = 2.0  # tenths that pass faster than this make one line
_REFRESH_SECONDS = 0.25
_VERBS = {"create": "creating", "update": "changing", "delete": "destroying", "read": "reading"}
_VERBS |= {"refresh": "refreshing", "open": "opening", "renew": "renewing", "close": "closing"}


class ProgressView(Protocol):
    """What the Terraform adapter tells its view. A method may raise OSError when its output has gone away."""

    def started(self, stage: str) -> None:
        """A stage (`plan`, `apply`, ...) begins."""

    def event(self, event: Event) -> None:
        """Terraform reported something."""

    def tick(self) -> None:
        """Called a few times a second; the view decides whether anything is worth showing."""

    def notice(self, text: str) -> None:
        """A sentence the person must see now, whatever else is shown."""

    def finished(self, outcome: str) -> None:
        """The stage has ended; called exactly once for each ``started``."""


@dataclass
class Tally:
    """How far one stage has come, from Terraform's events alone."""

    clock: Clock = time.monotonic
    began: float = 0.0
    total: int = 0
    done: int = 0
    refreshed: int = 0
    failed: int = 0
    running: dict[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def add(self, event: Event) -> None:
        if isinstance(event, ResourceChange):
            # An apply of a saved plan repeats the plan first: that is where the total comes from.
            self.total += event.operations
        elif isinstance(event, OperationStarted):
            self.running[event.address, event.action] = self.clock()
        elif isinstance(event, OperationEnded):
            self.running.pop((event.address, event.action), None)
            if event.action == "refresh":
                self.refreshed += 1
            else:
                self.done += 1
                self.failed += event.failed

    @property
    def elapsed(self) -> float:
        """Seconds since the stage began."""
        return self.clock() - self.began

    def counts(self, stage: str) -> str:
        """`12 of 147`; while planning, where no total exists yet, what was read so far."""
        if stage == "apply" and self.total:
            text = f"{self.done} of {max(self.total, self.done)}"
            return f"{text}, {self.failed} failed" if self.failed else text
        read = self.done + self.refreshed
        return f"{read} read" if read else ""

    def slowest(self) -> str:
        """What has been running for longest, with its seconds; empty when nothing is in flight."""
        if not self.running:
            return ""
        (address, action), since = min(self.running.items(), key=lambda item: item[1])
        return f"{address} ({_VERBS.get(action, action)}, {duration(self.clock() - since)})"


def duration(seconds: float) -> str:
    """`8 s`, `2 min 5 s`, `1 h 4 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class PlainProgress:
    """Lines for a log: each stage's start and end, and between them a heartbeat or every tenth of the way."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None, clock: Clock = time.monotonic) -> None:
        self._quiet = quiet
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._stage = ""
        self._tally = Tally(clock)
        self._last_line = 0.0
        self._last_tenth = 0

    def started(self, stage: str) -> None:
        self._stage = stage
        self._tally = Tally(self._clock)
        self._last_line = self._clock()
        self._last_tenth = 0
        self._write(f"{stage}: started")

    def event(self, event: Event) -> None:
        self._tally.add(event)
        if isinstance(event, WaitingForLock):
            self._write(f"{self._stage}: waiting for the state lock")

    def tick(self) -> None:
        now = self._clock()
        tally = self._tally
        tenth = tally.done * 10 // tally.total if self._stage == "apply" and tally.total else 0
        quiet_for = now - self._last_line
        if quiet_for < HEARTBEAT_SECONDS and (tenth <= self._last_tenth or quiet_for < _LINE_SECONDS):
            return
        self._last_line, self._last_tenth = now, max(tenth, self._last_tenth)
        slowest = tally.slowest()
        parts = [tally.counts(self._stage), duration(tally.elapsed), f"slowest {slowest}" if slowest else ""]
        self._write(f"{self._stage}: " + ", ".join(part for part in parts if part))

    def notice(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def finished(self, outcome: str) -> None:
        self._write(f"{self._stage}: {outcome} in {duration(self._tally.elapsed)}")

    def _write(self, line: str) -> None:
        if not self._quiet:
            print(line, file=self._stream, flush=True)


class NoProgress:
    """Shows nothing: for when nobody is there any more."""

    def started(self, stage: str) -> None: ...

    def event(self, event: Event) -> None: ...

    def tick(self) -> None: ...

    def notice(self, text: str) -> None: ...

    def finished(self, outcome: str) -> None: ...


class TerminalProgress:
    """One live line: the stage, a bar, done of total, elapsed, and what is slow."""

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Clock = time.monotonic,
        width: int | None = None,
        force_terminal: bool | None = None,
    ) -> None:
        from rich.console import Console  # 40 ms that only a terminal needs

        stream = stream if stream is not None else sys.stderr
        self._console = Console(file=stream, width=width, force_terminal=force_terminal)
        self._clock = clock
        self._stage = ""
        self._tally = Tally(clock)
        self._bar: Progress | None = None
        self._drawn = 0.0

    def started(self, stage: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        self._stage = stage
        self._tally = Tally(self._clock)
        # markup=False: `aws_subnet.this["a"]` would be read as a style. auto_refresh=False: no second
        # thread; the adapter's loop ticks anyway.
        fields = ("description", "fields[counts]", "fields[elapsed]", "fields[slowest]")
        columns = [
            TextColumn(f"{{task.{name}}}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
            for name in fields
        ]
        self._bar = Progress(
            columns[0], BarColumn(bar_width=30), *columns[1:],
            console=self._console, auto_refresh=False, transient=True,
        )  # fmt: skip
        self._bar.add_task(stage, total=None, counts="", elapsed="", slowest="")
        self._bar.start()

    def event(self, event: Event) -> None:
        self._tally.add(event)
        if isinstance(event, WaitingForLock):
            self.notice(f"{self._stage}: waiting for the state lock")

    def tick(self) -> None:
        now = self._clock()
        if self._bar is None or now - self._drawn < _REFRESH_SECONDS:
            return
        self._drawn = now
        tally = self._tally
        total = max(tally.total, tally.done) if self._stage == "apply" and tally.total else None
        task = self._bar.task_ids[0]
        self._bar.update(
            task, completed=tally.done, total=total, counts=tally.counts(self._stage),
            elapsed=duration(tally.elapsed), slowest=tally.slowest(), refresh=True,
        )  # fmt: skip

    def notice(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def finished(self, outcome: str) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self.notice(f"{self._stage}: {outcome} in {duration(self._tally.elapsed)}")


def view_of_this_run() -> ProgressView:
    """The view on standard error, of a verb that a person started."""
    return progress_view(console_is_terminal=sys.stderr.isatty(), quiet=False)


def progress_view(console_is_terminal: bool, quiet: bool) -> ProgressView:
    """The view for this run; ``quiet`` leaves only the sentences that must not be missed."""
    if console_is_terminal and not quiet:
        return TerminalProgress()
    return PlainProgress(quiet=quiet)
