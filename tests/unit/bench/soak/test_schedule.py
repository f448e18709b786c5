"""The schedule of a soak: all events in an hour, fewer in a shorter run, each with enough time."""

from __future__ import annotations

import pytest

from bench.soak.events import VARIABLES, changed
from bench.soak.run import ACTIONS
from bench.soak.schedule import EVENTS, REHEARSALS, plan
from ollama_gpu.core.errors import UserError

NAMES = [event.name for event in EVENTS]
REHEARSED = [event.name for event in REHEARSALS]


@pytest.mark.parametrize("minutes", [60, 240])
def test_a_run_of_an_hour_or_more_has_all_events_in_order(minutes: int) -> None:
    schedule = plan(minutes)
    assert [each.event.name for each in schedule.planned] == NAMES
    assert schedule.left_out == ()
    assert schedule.planned[0].at == 60 * minutes * 8 / 60
    assert [each.at for each in schedule.planned] == sorted(each.at for each in schedule.planned)
    assert schedule.planned[-1].at < schedule.seconds == 60 * minutes


def test_kills_come_before_refresh_and_rollback() -> None:
    assert NAMES[-2:] == ["refresh", "rollback"]
    assert all(event.allowed_seconds == 0 for event in EVENTS[-2:])


@pytest.mark.parametrize("minutes", [2, 3, 4, 10, 20, 30, 45])
def test_a_short_run_leaves_out_long_events(minutes: int) -> None:
    schedule = plan(minutes)
    ends = [each.at for each in schedule.planned[1:]] + [schedule.seconds]
    for each, end in zip(schedule.planned, ends, strict=True):
        assert (end - each.at) / 60 >= each.event.whole_minutes - 0.01, each
    assert {each.event.name for each in schedule.planned} | set(schedule.left_out) == set(NAMES)
    assert ("refresh" in schedule.left_out) == ("rollback" in schedule.left_out)


def test_four_minutes_are_enough_for_the_kills_of_processes() -> None:
    assert [each.event.name for each in plan(4).planned] == NAMES[:4]


def test_named_events_run_however_short_the_run_is() -> None:
    schedule = plan(4, ["rollback", "refresh"])
    assert [each.event.name for each in schedule.planned] == ["refresh", "rollback"]
    assert schedule.left_out == ()  # the other events were not requested


def test_rehearsals_run_only_on_request_and_may_not_fail_a_chat() -> None:
    schedule = plan(6, REHEARSED)
    assert [each.event.name for each in schedule.planned] == REHEARSED
    assert 60 <= schedule.planned[0].at <= 120
    assert all(event.allowed_seconds == 0 for event in REHEARSALS)
    assert not set(REHEARSED) & {each.event.name for each in plan(240).planned}
    assert not set(REHEARSED) & set(plan(4).left_out)


def test_a_rehearsal_comes_after_kills() -> None:
    assert [each.event.name for each in plan(4, ["alarm", "redis-killed"]).planned] == ["redis-killed", "alarm"]


@pytest.mark.parametrize(("minutes", "only"), [(1, []), (float("nan"), []), (60, ["storm"]), (60, ["rollback"])])
def test_invalid_requests_are_refused(minutes: float, only: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        plan(minutes, only)
    assert refused.value.status == 2
    assert refused.value.remedy


def test_every_event_has_an_action() -> None:
    assert list(ACTIONS) == NAMES + REHEARSED


def test_the_refresh_changes_the_drain_time_only() -> None:
    from ollama_gpu.core.paths import locate

    before = (locate().repository / VARIABLES).read_text()
    once = changed(before)
    assert set(once.splitlines()) - set(before.splitlines()) == {"    drain_seconds = 97"}
    assert "drain_seconds = 96" in changed(once)
