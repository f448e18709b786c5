"""The schedule: the events of an hour as data, scaled to the requested length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ollama_gpu.core.errors import UserError


@dataclass(frozen=True)
class Event:
    """Something that happens to the lab.

    ``share``: minutes in a run of one hour from its start to the next event's. ``allowed_seconds``: chats that overlap
    this time from its start may fail, about twice what docs/faults.md measured; 0: none may. ``whole_minutes``:
    the minimum duration; a run with a shorter share omits the event.
    """

    name: str
    share: float
    allowed_seconds: float
    whole_minutes: float


@dataclass(frozen=True)
class Planned:
    """An event and its earliest start in seconds of the run: each event waits for the one before it."""

    event: Event
    at: float


@dataclass(frozen=True)
class Schedule:
    """``seconds`` of the whole run, its events, and the events that it is too short for."""

    seconds: float
    planned: tuple[Planned, ...]
    left_out: tuple[str, ...]


CALM_SHARE = 8.0
"""Minutes of an hour before the first event: the other phases are compared with this one."""

EVENTS = (
    # All kills hit the same instance, so that the processes of the other one can be observed for half an hour.
    Event("ollama-killed", share=4, allowed_seconds=30, whole_minutes=0.4),
    Event("gateway-killed", share=3, allowed_seconds=15, whole_minutes=0.3),
    Event("open-webui-killed", share=4, allowed_seconds=60, whole_minutes=0.5),
    Event("redis-killed", share=3, allowed_seconds=20, whole_minutes=0.3),
    Event("instance-killed", share=8, allowed_seconds=90, whole_minutes=5),
    Event("refresh", share=15, allowed_seconds=0, whole_minutes=8),
    Event("rollback", share=15, allowed_seconds=0, whole_minutes=8),
)

REHEARSALS = (
    # Not part of the hourly run: run on request, all of them with `make rehearse`. No chat may fail.
    Event("bad-variable", share=8, allowed_seconds=0, whole_minutes=6),
    Event("bad-image", share=10, allowed_seconds=0, whole_minutes=9),
    Event("bad-terraform", share=4, allowed_seconds=0, whole_minutes=4),
    Event("failed-migration", share=8, allowed_seconds=0, whole_minutes=6),
    Event("alarm", share=10, allowed_seconds=0, whole_minutes=9),
)


def plan(minutes: float, only: Sequence[str] = ()) -> Schedule:
    """Return the schedule of a run of ``minutes``; with ``only``, these events, however short the run is.

    Raises UserError for an invalid length or event.
    """
    names = [event.name for event in (*EVENTS, *REHEARSALS)]
    if unknown := [name for name in only if name not in names]:
        raise UserError(f"Unknown event: {', '.join(unknown)}.", f"Use one of {', '.join(names)}.", status=2)
    if not 2 <= minutes <= 24 * 60:
        raise UserError(f"{minutes:g} minutes is not a valid length.", "Set SOAK_MINUTES from 2 to 1440.", status=2)
    if "rollback" in only and "refresh" not in only:
        raise UserError("The event rollback undoes the event refresh.", "Add refresh to the events.", status=2)
    chosen = [event for event in (*EVENTS, *REHEARSALS) if event.name in only] if only else _fitting(EVENTS, minutes)
    unit = 60 * minutes / (CALM_SHARE + sum(event.share for event in chosen))
    planned, at = [], CALM_SHARE * unit
    for event in chosen:
        planned.append(Planned(event, round(at, 1)))
        at += event.share * unit
    left_out = () if only else tuple(event.name for event in EVENTS if event not in chosen)
    return Schedule(60 * minutes, tuple(planned), left_out)


def _fitting(events: Sequence[Event], minutes: float) -> list[Event]:
    """The events that fit into the run. The longest are dropped first, which leaves their time to the others."""
    chosen = list(events)
    while chosen:
        unit = minutes / (CALM_SHARE + sum(event.share for event in chosen))
        tight = [event for event in chosen if event.share * unit < event.whole_minutes]
        if not tight:
            break
        longest = max(event.whole_minutes for event in tight)
        chosen = [event for event in chosen if event not in tight or event.whole_minutes < longest]
    return chosen
