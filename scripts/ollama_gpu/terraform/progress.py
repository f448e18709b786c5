"""Show the progress of long work on stderr: live lines on a terminal, a few lines in a log.

stdout is only for the command's result, so that the output of ``--json`` is one valid document.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, Self, TextIO

from ollama_gpu.terraform.events import Event, OperationEnded, OperationStarted, ResourceChange, WaitingForLock

Clock = Callable[[], float]

HEARTBEAT_SECONDS = 10.0
TICK_SECONDS = 0.25
_LINE_SECONDS = 2.0  # tenths within this time share one line
_VERBS = {"create": "creating", "update": "changing", "delete": "destroying", "read": "reading"}
_VERBS |= {"refresh": "refreshing", "open": "opening", "renew": "renewing", "close": "closing"}


class ProgressView(Protocol):
    """The progress of one line of work, stage by stage. Methods may raise OSError if their output is closed."""

    def started(self, stage: str, usual: float | None = None) -> None:
        """A stage (`plan`, `apply`, ...) starts, which usually takes ``usual`` seconds."""

    def detail(self, text: str) -> None:
        """How far the stage is, in a few words: compiled packages, layers, bytes."""

    def event(self, event: Event) -> None:
        """Terraform reported an event."""

    def tick(self) -> None:
        """Called several times per second; the view decides whether to show anything."""

    def notice(self, text: str) -> None:
        """Show a sentence immediately, even if the view is quiet."""

    def finished(self, outcome: str) -> None:
        """The stage ended; called exactly once for each ``started``."""

    def beside(self) -> ProgressView:
        """A view for work that runs at the same time, in another thread, on the same output."""


@dataclass
class Tally:
    """Progress of one stage, counted from Terraform's events or told in words (``detail``)."""

    clock: Clock = time.monotonic
    usual: float | None = None
    detail: str = ""
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
            # An apply of a saved plan first repeats the planned changes; they give the total.
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
        """Seconds since the stage started."""
        return self.clock() - self.began

    @property
    def time(self) -> str:
        """`2 min 5 s`, or `2 min 5 s of about 4 min 0 s` if the usual duration is known."""
        passed = duration(self.elapsed)
        return f"{passed} of about {duration(self.usual)}" if self.usual and self.usual >= 1 else passed

    def counts(self, stage: str) -> str:
        """`12 of 147`; while planning, when there is no total yet, the number of resources read; else the detail."""
        if self.detail:
            return self.detail
        if stage == "apply" and self.total:
            text = f"{self.done} of {max(self.total, self.done)}"
            return f"{text}, {self.failed} failed" if self.failed else text
        read = self.done + self.refreshed
        return f"{read} read" if read else ""

    def slowest(self) -> str:
        """The operation that has been running longest, with its duration; empty if none is running."""
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


class Lanes:
    """The running stages of all views of one output. ``ticks``: a thread ticks them, so that work need not."""

    def __init__(self, ticks: bool) -> None:
        self.lock = threading.RLock()
        self._ticks = ticks
        self._running: list[Lane] = []
        self._thread: threading.Thread | None = None

    def add(self, lane: Lane) -> None:
        with self.lock:
            self._running.append(lane)
            if self._ticks and self._thread is None:
                self._thread = threading.Thread(target=self._tick, daemon=True, name="progress")
                self._thread.start()

    def remove(self, lane: Lane) -> None:
        with self.lock:
            if lane in self._running:
                self._running.remove(lane)

    @property
    def running(self) -> tuple[Lane, ...]:
        with self.lock:
            return tuple(self._running)

    def _tick(self) -> None:
        while True:
            with self.lock:
                if not self._running:
                    self._thread = None
                    return
            for lane in self.running:
                try:
                    lane.tick()
                except (OSError, ValueError):  # the output was closed; the work itself notices that, or does not care
                    return
            time.sleep(TICK_SECONDS)


class Lane(Protocol):
    """A view with a running stage."""

    def tick(self) -> None: ...


class LogOutput:
    """The log that the views of concurrent work share."""

    def __init__(self, quiet: bool, stream: TextIO | None, clock: Clock, ticks: bool) -> None:
        self.lanes = Lanes(ticks)
        self.clock = clock
        self.last_line = clock()
        self._quiet = quiet
        self._stream = stream

    def write(self, line: str, even_if_quiet: bool = False) -> None:
        with self.lanes.lock:
            self.last_line = self.clock()
            if even_if_quiet or not self._quiet:
                # Not stored: a test or `elapsed_lines` may replace standard error meanwhile.
                print(line, file=self._stream if self._stream is not None else sys.stderr, flush=True)


class PlainProgress:
    """Lines for a log: start and end of each stage, and in between a heartbeat or a line per tenth of the total."""

    def __init__(
        self,
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Clock = time.monotonic,
        ticks: bool = False,
    ) -> None:
        self._share(LogOutput(quiet, stream, clock, ticks))

    def _share(self, output: LogOutput) -> None:
        self._output = output
        self._stage = ""
        self._tally = Tally(output.clock)
        self.last_line = output.clock()
        self._last_tenth = 0

    def beside(self) -> Self:
        view = type(self).__new__(type(self))
        view._share(self._output)
        return view

    def started(self, stage: str, usual: float | None = None) -> None:
        with self._output.lanes.lock:
            self._stage = stage
            self._tally = Tally(self._output.clock, usual)
            self._last_tenth = 0
            expected = f", usually {duration(usual)}" if usual and usual >= 1 else ""
            self._write(f"{stage}: started{expected}")
            self._output.lanes.add(self)

    def event(self, event: Event) -> None:
        with self._output.lanes.lock:
            self._tally.add(event)
        if isinstance(event, WaitingForLock):
            self._write(f"{self._stage}: waiting for the state lock")

    def detail(self, text: str) -> None:
        self._tally.detail = text

    def tick(self) -> None:
        with self._output.lanes.lock:
            now = self._output.clock()
            tally = self._tally
            tenth = tally.done * 10 // tally.total if self._stage == "apply" and tally.total else 0
            if not self._heartbeat_due(now) and (tenth <= self._last_tenth or now - self.last_line < _LINE_SECONDS):
                return
            self._last_tenth = max(tenth, self._last_tenth)
            slowest = tally.slowest()
            parts = [tally.counts(self._stage), tally.time, f"slowest {slowest}" if slowest else ""]
            self._write(f"{self._stage}: " + ", ".join(part for part in parts if part))

    def notice(self, text: str) -> None:
        self._output.write(text, even_if_quiet=True)

    def finished(self, outcome: str) -> None:
        self._output.lanes.remove(self)
        self._write(f"{self._stage}: {outcome} in {duration(self._tally.elapsed)}")

    def _heartbeat_due(self, now: float) -> bool:
        """Whether the log has been silent for too long, and this stage for longest of those that run."""
        if now - self._output.last_line < HEARTBEAT_SECONDS:
            return False
        others = [lane.last_line for lane in self._output.lanes.running if isinstance(lane, PlainProgress)]
        return all(self.last_line <= each for each in others)

    def _write(self, line: str) -> None:
        self.last_line = self._output.clock()
        self._output.write(line)


class NoProgress:
    """Shows nothing; used after the output was closed."""

    def started(self, stage: str, usual: float | None = None) -> None: ...

    def detail(self, text: str) -> None: ...

    def event(self, event: Event) -> None: ...

    def tick(self) -> None: ...

    def notice(self, text: str) -> None: ...

    def finished(self, outcome: str) -> None: ...

    def beside(self) -> Self:
        return self


def view_of_this_run() -> ProgressView:
    """The view for a command that a user started, on standard error."""
    return progress_view(console_is_terminal=sys.stderr.isatty(), quiet=False, ticks=True)


def progress_view(console_is_terminal: bool, quiet: bool, ticks: bool = False) -> ProgressView:
    """The view for this run; ``quiet`` shows only notices. ``ticks``: it moves while the work does not tick."""
    if console_is_terminal and not quiet:
        from ollama_gpu.terraform.terminal_progress import TerminalProgress

        return TerminalProgress(ticks=ticks)
    return PlainProgress(quiet=quiet, ticks=ticks)
