"""The schedule of a soak: all of it in an hour, less in a shorter run, each event with time to end."""

from __future__ import annotations

import pytest

from ollama_gpu.errors import UserError
from tests.soak.events import VARIABLES, changed
from tests.soak.run import ACTIONS
from tests.soak.schedule import EVENTS, REHEARSALS, plan

NAMES = [event.name for event in EVENTS]
REHEARSED = [event.name for event in REHEARSALS]


@pytest.mark.parametrize("minutes", [60, 240])
def test_an_hour_has_everything_in_order(minutes: int) -> None:
    schedule = plan(minutes)
    assert [each.event.name for each in schedule.planned] == NAMES
    assert schedule.left_out == ()
    assert schedule.planned[0].at == 60 * minutes * 8 / 60
    assert [each.at for each in schedule.planned] == sorted(each.at for each in schedule.planned)
    assert schedule.planned[-1].at < schedule.seconds == 60 * minutes


def test_kills_come_before_the_refresh_and_the_rollback_takes_it_back() -> None:
    assert NAMES[-2:] == ["refresh", "rollback"]
    assert all(event.allowed_seconds == 0 for event in EVENTS[-2:])


@pytest.mark.parametrize("minutes", [2, 3, 4, 10, 20, 30, 45])
def test_a_short_run_leaves_out_what_it_has_no_time_for(minutes: int) -> None:
    schedule = plan(minutes)
    ends = [each.at for each in schedule.planned[1:]] + [schedule.seconds]
    for each, end in zip(schedule.planned, ends, strict=True):
        assert (end - each.at) / 60 >= each.event.whole_minutes - 0.01, each
    assert {each.event.name for each in schedule.planned} | set(schedule.left_out) == set(NAMES)
    assert ("refresh" in schedule.left_out) == ("rollback" in schedule.left_out)


def test_four_minutes_are_enough_for_the_kills_of_processes() -> None:
    assert [each.event.name for each in plan(4).planned] == NAMES[:4]


def test_who_names_events_gets_them_however_short_it_is() -> None:
    schedule = plan(4, ["rollback", "refresh"])
    assert [each.event.name for each in schedule.planned] == ["refresh", "rollback"]
    assert schedule.left_out == ()  # nothing was too short: nobody wanted the rest


def test_what_is_rehearsed_is_asked_for_in_six_minutes_and_nobody_may_notice() -> None:
    schedule = plan(6, REHEARSED)
    assert [each.event.name for each in schedule.planned] == REHEARSED
    assert 60 <= schedule.planned[0].at <= 120
    assert all(event.allowed_seconds == 0 for event in REHEARSALS)
    assert not set(REHEARSED) & {each.event.name for each in plan(240).planned}
    assert not set(REHEARSED) & set(plan(4).left_out)


def test_a_rehearsal_comes_after_what_is_killed() -> None:
    assert [each.event.name for each in plan(4, ["alarm", "redis-killed"]).planned] == ["redis-killed", "alarm"]


@pytest.mark.parametrize(("minutes", "only"), [(1, []), (float("nan"), []), (60, ["storm"]), (60, ["rollback"])])
def test_what_makes_no_sense_is_refused(minutes: float, only: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        plan(minutes, only)
    assert refused.value.status == 2
    assert refused.value.remedy


def test_every_event_has_an_action() -> None:
    assert list(ACTIONS) == NAMES + REHEARSED


def test_the_refresh_changes_what_instances_are_told_and_nothing_else() -> None:
    from ollama_gpu.paths import locate

    before = (locate().repository / VARIABLES).read_text()
    once = changed(before)
    assert set(once.splitlines()) - set(before.splitlines()) == {"    drain_seconds = 97"}
    assert "drain_seconds = 96" in changed(once)
