"""Progress views: completed and slowest operations, few lines in a log."""

from __future__ import annotations

import io
import itertools
import time

import pytest

from ollama_gpu.terraform import progress
from ollama_gpu.terraform.events import OperationEnded, OperationStarted, ResourceChange, WaitingForLock
from ollama_gpu.terraform.progress import PlainProgress, Tally, duration, progress_view
from ollama_gpu.terraform.terminal_progress import TerminalProgress


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def created(view: PlainProgress | TerminalProgress, name: str) -> None:
    view.event(OperationStarted(name, "create"))
    view.event(OperationEnded(name, "create"))


def plain(quiet: bool = False) -> tuple[PlainProgress, Clock, io.StringIO]:
    clock, stream = Clock(), io.StringIO()
    return PlainProgress(quiet, stream, clock), clock, stream


def test_heartbeat_names_the_operation_that_has_been_running_longest() -> None:
    view, clock, stream = plain()
    view.started("apply")
    view.event(ResourceChange("aws_lb.this", "aws_lb", "create"))
    view.event(ResourceChange("aws_db_instance.this", "aws_db_instance", "create"))
    view.event(OperationStarted("aws_db_instance.this", "create"))
    clock.now += 5
    view.event(OperationStarted("aws_lb.this", "create"))
    clock.now += 6
    view.tick()
    assert stream.getvalue().splitlines() == [
        "apply: started",
        "apply: 0 of 2, 11 s, slowest aws_db_instance.this (creating, 11 s)",
    ]


def test_two_hundred_quick_resources_print_twelve_lines() -> None:
    view, clock, stream = plain()
    view.started("apply")
    for number in range(200):
        view.event(ResourceChange(f"a.b[{number}]", "a", "create"))
    for number in range(200):
        clock.now += 0.5
        created(view, f"a.b[{number}]")
        view.tick()
    view.finished("done")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 12  # start, ten tenths, end
    assert lines[-2:] == ["apply: 200 of 200, 1 min 40 s", "apply: done in 1 min 40 s"]


def test_ticks_before_the_heartbeat_print_nothing() -> None:
    view, clock, stream = plain()
    view.started("plan")
    for _ in range(30):
        clock.now += 0.25
        view.tick()
    assert stream.getvalue().splitlines() == ["plan: started"]


def test_replacement_counts_as_two_operations_and_failures_are_counted() -> None:
    tally = Tally(Clock())
    tally.add(ResourceChange("a.b", "a", "replace"))
    tally.add(OperationStarted("a.b", "delete"))
    tally.add(OperationEnded("a.b", "delete"))
    tally.add(OperationStarted("a.b", "create"))
    tally.add(OperationEnded("a.b", "create", failed=True))
    assert tally.counts("apply") == "2 of 2, 1 failed"
    assert tally.slowest() == ""


def test_plan_counts_resources_read() -> None:
    tally = Tally(Clock())
    for name, action in (("a.b", "refresh"), ("data.c.d", "read")):
        tally.add(OperationStarted(name, action))
        tally.add(OperationEnded(name, action))
    assert tally.counts("plan") == "2 read"


def test_waiting_for_the_state_lock_is_shown() -> None:
    view, _, stream = plain()
    view.started("plan")
    view.event(WaitingForLock())
    assert "plan: waiting for the state lock" in stream.getvalue()


def test_quiet_view_shows_only_notices() -> None:
    view, clock, stream = plain(quiet=True)
    view.started("apply")
    clock.now += 60
    view.tick()
    view.notice("warning: look here")
    view.finished("done")
    assert stream.getvalue() == "warning: look here\n"


def test_terminal_shows_addresses_unchanged_and_ends_with_one_line() -> None:
    clock, stream = Clock(), io.StringIO()
    view = TerminalProgress(stream, clock, width=100, force_terminal=True)
    view.started("apply")
    view.event(ResourceChange('aws_subnet.this["red"]', "aws_subnet", "create"))
    view.event(OperationStarted('aws_subnet.this["red"]', "create"))
    clock.now += 3
    view.tick()
    view.finished("done, 1 added")
    text = stream.getvalue()
    assert "0 of 1" in text
    assert 'aws_subnet.this["red"] (creating, 3 s)' in text
    assert text.rstrip().endswith("apply: done, 1 added in 3 s")


def test_view_stays_on_one_line_of_a_narrow_terminal() -> None:
    clock, stream = Clock(), io.StringIO()
    view = TerminalProgress(stream, clock, width=60, force_terminal=True)
    view.started("apply")
    address = 'module.fleet["interactive"].aws_autoscaling_group.this_is_a_long_name'
    view.event(ResourceChange(address, "aws_autoscaling_group", "create"))
    view.event(OperationStarted(address, "create"))
    clock.now += 3
    before = stream.getvalue()
    view.tick()
    assert "\n" not in stream.getvalue().removeprefix(before)
    view.finished("done")


def test_terminal_view_is_used_only_on_a_terminal_and_not_when_quiet() -> None:
    assert isinstance(progress_view(console_is_terminal=True, quiet=False), TerminalProgress)
    assert isinstance(progress_view(console_is_terminal=False, quiet=False), PlainProgress)
    assert isinstance(progress_view(console_is_terminal=True, quiet=True), PlainProgress)


def test_progress_goes_to_stderr(capsys: object) -> None:
    view = progress_view(console_is_terminal=False, quiet=False)
    view.started("plan")
    view.finished("done")
    captured = capsys.readouterr()  # type: ignore[attr-defined]
    assert captured.out == ""
    assert captured.err == "plan: started\nplan: done in 0 s\n"


def test_durations_use_suitable_units() -> None:
    assert [duration(seconds) for seconds in (8.9, 125, 3840)] == ["8 s", "2 min 5 s", "1 h 4 min"]


class Timed(io.StringIO):
    """A stream that records the time of each line by the test's clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.lines: list[tuple[float, str]] = []
        self._clock = clock

    def write(self, text: str) -> int:
        if text.strip():
            self.lines.append((self._clock(), text.strip()))
        return len(text)

    @property
    def longest_gap(self) -> float:
        times = [moment for moment, _ in self.lines]
        return max(after - before for before, after in itertools.pairwise(times))


def test_log_of_concurrent_work_is_never_silent_for_long_and_names_every_stage() -> None:
    clock = Clock()
    stream = Timed(clock)
    view = PlainProgress(stream=stream, clock=clock)
    lanes = [view, view.beside(), view.beside()]
    for number, lane in enumerate(lanes):
        lane.started(f"step {number}", 240)
    for _ in range(4 * 300):
        clock.now += 0.25
        for lane in lanes:
            lane.tick()
    for lane in lanes:
        lane.finished("done")
    assert stream.longest_gap <= 10.25
    for number in range(3):
        mine = [moment for moment, line in stream.lines if line.startswith(f"step {number}:")]
        assert max(after - before for before, after in itertools.pairwise(mine)) < 31
    assert len(stream.lines) < 40


def test_lines_tell_how_far_the_stage_is_and_how_long_it_usually_takes() -> None:
    view, clock, stream = plain()
    view.started("Ollama 0.24.0", 240)
    view.detail("31 of at most 620 packages compiled")
    clock.now += 65
    view.tick()
    assert stream.getvalue().splitlines() == [
        "Ollama 0.24.0: started, usually 4 min 0 s",
        "Ollama 0.24.0: 31 of at most 620 packages compiled, 1 min 5 s of about 4 min 0 s",
    ]


def test_work_that_never_ticks_has_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.01)
    stream = io.StringIO()
    view = PlainProgress(stream=stream, ticks=True)
    view.started("upload")
    deadline = time.monotonic() + 10
    while stream.getvalue().count("\n") < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    view.finished("done")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "upload: started"
    assert len(lines) >= 5
    assert lines[-1] == "upload: done in 0 s"


def test_terminal_draws_one_line_for_each_concurrent_stage() -> None:
    clock, stream = Clock(), io.StringIO()
    view = TerminalProgress(stream, clock, width=120, force_terminal=True)
    beside = view.beside()
    view.started("image base", 30)
    beside.started("Ollama 0.24.0", 240)
    beside.detail("31 of at most 620 packages compiled")
    clock.now += 9
    before = stream.getvalue()
    view.tick()
    beside.tick()
    drawn = stream.getvalue().removeprefix(before)
    assert "9 s of about 30 s" in drawn
    assert "31 of at most 620 packages compiled" in drawn
    assert "9 s of about 4 min 0 s" in drawn
    view.finished("done")
    beside.finished("done")
    assert stream.getvalue().rstrip().endswith("Ollama 0.24.0: done in 9 s")
