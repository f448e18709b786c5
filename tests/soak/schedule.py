"""What happens when: the events of an hour as data, scaled to the length that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ollama_gpu.errors import UserError


@dataclass(frozen=True)
class Event:
    """Something that happens to the lab.

    ``share``: minutes of an hour's run from its beginning to the next one's. ``allowed_seconds``: chats that overlap so
    long a time from its beginning may fail, about twice of what docs/operations.md measured; 0: none may.
    ``whole_minutes``: what it takes at least; a run whose share of it is shorter leaves it out.
    """

    name: str
    share: float
    allowed_seconds: float
    whole_minutes: float


@dataclass(frozen=True)
class Planned:
    """An event and the second of the run at which it begins at the earliest: each waits for the one before it."""

    event: Event
    at: float


@dataclass(frozen=True)
class Schedule:
    """``seconds`` of the whole run, what happens in it, and what it is too short for."""

    seconds: float
    planned: tuple[Planned, ...]
    left_out: tuple[str, ...]


CALM_SHARE = 8.0
"""Minutes of an hour before anything happens: what the other phases are compared with."""

EVENTS = (
    # All that is killed is of one instance, so that the processes of another one can be followed for half an hour.
    Event("ollama-killed", share=4, allowed_seconds=30, whole_minutes=0.4),
    Event("gateway-killed", share=3, allowed_seconds=15, whole_minutes=0.3),
    Event("open-webui-killed", share=4, allowed_seconds=60, whole_minutes=0.5),
    Event("redis-killed", share=3, allowed_seconds=20, whole_minutes=0.3),
    Event("instance-killed", share=8, allowed_seconds=90, whole_minutes=5),
    Event("refresh", share=15, allowed_seconds=0, whole_minutes=8),
    Event("rollback", share=15, allowed_seconds=0, whole_minutes=8),
)

REHEARSALS = (
    # Of no hour's run: they are asked for, all of them by `make rehearse`. Nobody may notice any.
    Event("bad-variable", share=8, allowed_seconds=0, whole_minutes=6),
    Event("bad-image", share=10, allowed_seconds=0, whole_minutes=9),
    Event("bad-terraform", share=4, allowed_seconds=0, whole_minutes=4),
    Event("failed-migration", share=8, allowed_seconds=0, whole_minutes=6),
    Event("alarm", share=10, allowed_seconds=0, whole_minutes=9),
)


def plan(minutes: float, only: Sequence[str] = ()) -> Schedule:
    """The schedule of a run of so many minutes; with ``only`` these events, however short it is.

    Raises UserError for a length or an event that makes no sense.
    """
    names = [event.name for event in (*EVENTS, *REHEARSALS)]
    if unknown := [name for name in only if name not in names]:
        raise UserError(f"There is no event {', '.join(unknown)}.", f"There are {', '.join(names)}.", status=2)
    if not 2 <= minutes <= 24 * 60:
        raise UserError(f"A soak of {minutes:g} minutes is none.", "SOAK_MINUTES is from 2 to 1440.", status=2)
    if "rollback" in only and "refresh" not in only:
        raise UserError("A rollback takes back what the refresh has brought.", "Ask for refresh as well.", status=2)
    chosen = [event for event in (*EVENTS, *REHEARSALS) if event.name in only] if only else _fitting(EVENTS, minutes)
    unit = 60 * minutes / (CALM_SHARE + sum(event.share for event in chosen))
    planned, at = [], CALM_SHARE * unit
    for event in chosen:
        planned.append(Planned(event, round(at, 1)))
        at += event.share * unit
    left_out = () if only else tuple(event.name for event in EVENTS if event not in chosen)
    return Schedule(60 * minutes, tuple(planned), left_out)


def _fitting(events: Sequence[Event], minutes: float) -> list[Event]:
    """Those that a run has time for. What takes longest goes first, and leaves its time to the others."""
    chosen = list(events)
    while chosen:
        unit = minutes / (CALM_SHARE + sum(event.share for event in chosen))
        tight = [event for event in chosen if event.share * unit < event.whole_minutes]
        if not tight:
            break
        longest = max(event.whole_minutes for event in tight)
        chosen = [event for event in chosen if event not in tight or event.whole_minutes < longest]
    return chosen
