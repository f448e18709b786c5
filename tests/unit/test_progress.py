"""The progress view tells how far Terraform has come and what keeps it, without flooding a log."""

from __future__ import annotations

import io

from ollama_gpu.progress import (
    PlainProgress,
    Tally,
    TerminalProgress,
    duration,
    progress_view,
)
from ollama_gpu.terraform.events import OperationEnded, OperationStarted, ResourceChange, WaitingForLock


class Clock:
    """Seconds that pass when the test says so."""

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


def test_a_long_silence_is_broken_by_what_has_been_running_for_longest() -> None:
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


def test_two_hundred_quick_resources_make_few_lines() -> None:
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


def test_ticks_without_news_print_nothing() -> None:
    view, clock, stream = plain()
    view.started("plan")
    for _ in range(30):
        clock.now += 0.25
        view.tick()
    assert stream.getvalue().splitlines() == ["plan: started"]


def test_a_replacement_counts_as_two_operations_and_a_failure_is_told() -> None:
    tally = Tally(Clock())
    tally.add(ResourceChange("a.b", "a", "replace"))
    tally.add(OperationStarted("a.b", "delete"))
    tally.add(OperationEnded("a.b", "delete"))
    tally.add(OperationStarted("a.b", "create"))
    tally.add(OperationEnded("a.b", "create", failed=True))
    assert tally.counts("apply") == "2 of 2, 1 failed"
    assert tally.slowest() == ""


def test_planning_counts_what_was_read_because_there_is_no_total_yet() -> None:
    tally = Tally(Clock())
    for name, action in (("a.b", "refresh"), ("data.c.d", "read")):
        tally.add(OperationStarted(name, action))
        tally.add(OperationEnded(name, action))
    assert tally.counts("plan") == "2 read"


def test_waiting_for_the_lock_is_said() -> None:
    view, _, stream = plain()
    view.started("plan")
    view.event(WaitingForLock())
    assert "plan: waiting for the state lock" in stream.getvalue()


def test_quiet_leaves_only_what_must_not_be_missed() -> None:
    view, clock, stream = plain(quiet=True)
    view.started("apply")
    clock.now += 60
    view.tick()
    view.notice("warning: look here")
    view.finished("done")
    assert stream.getvalue() == "warning: look here\n"


def test_a_terminal_shows_addresses_as_they_are_and_ends_with_one_line() -> None:
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


def test_a_narrow_terminal_keeps_the_view_on_one_line() -> None:
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


def test_the_factory_draws_only_on_a_terminal_and_only_when_not_quiet() -> None:
    assert isinstance(progress_view(console_is_terminal=True, quiet=False), TerminalProgress)
    assert isinstance(progress_view(console_is_terminal=False, quiet=False), PlainProgress)
    assert isinstance(progress_view(console_is_terminal=True, quiet=True), PlainProgress)


def test_progress_leaves_stdout_to_the_result(capsys: object) -> None:
    view = progress_view(console_is_terminal=False, quiet=False)
    view.started("plan")
    view.finished("done")
    captured = capsys.readouterr()  # type: ignore[attr-defined]
    assert captured.out == ""
    assert captured.err == "plan: started\nplan: done in 0 s\n"


def test_durations_use_the_unit_that_fits() -> None:
    assert [duration(seconds) for seconds in (8.9, 125, 3840)] == ["8 s", "2 min 5 s", "1 h 4 min"]
