"""Report of a soak: figures of each phase, the cost of each event, growth; and whether the run is good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench.soak import growth
from bench.soak.growth import MIB, Growth
from bench.soak.people import HABITS
from bench.soak.samples import Sample
from ollama_gpu.core.console import Table
from ollama_gpu.planning.quantiles import Quantiles
from tests.serving.traffic import Chat

CALM = "calm"
ROWS = 8  # in each table of growth; the JSON has all


@dataclass(frozen=True)
class EventResult:
    """The course of an event; times by `time.monotonic`. ``ended``: the lab has recovered everything it lost.

    ``trouble``: why the lab did not recover, or empty.
    """

    name: str
    began: float
    ended: float
    allowed_seconds: float
    trouble: str = ""

    def covers(self, chat: Chat) -> bool:
        """Whether the event excuses a failure of this chat: they overlap within the event's allowed time."""
        return self.allowed_seconds > 0 and chat.ended >= self.began and chat.began <= self.began + self.allowed_seconds


@dataclass(frozen=True)
class Run:
    """Everything that was observed between ``began`` and ``ended``."""

    began: float
    ended: float
    chats: Sequence[Chat]
    happened: Sequence[EventResult]
    samples: Sequence[Sample]
    left_out: Sequence[str] = ()
    interrupted: bool = False
    elsewhere: str = ""  # what to do if another release is deployed than at the start


def figures(run: Run) -> dict[str, Any]:
    """The whole report for programs; in seconds and bytes."""
    grown = growth.of(run.samples)
    return {
        "minutes": round((run.ended - run.began) / 60, 1),
        "interrupted": run.interrupted,
        "left_out": list(run.left_out),
        "chats": chat_figures(run.chats),
        "habits": {
            habit.name: chat_figures([chat for chat in run.chats if chat.user % len(HABITS) == number])
            for number, habit in enumerate(HABITS)
        },
        "phases": [
            {"phase": name, "minute": round((began - run.began) / 60, 1), **chat_figures(chats)}
            for name, began, chats in phases(run)
        ],
        "events": [event(run, each) for each in run.happened],
        "samples": len(run.samples),
        "judged": {what: sum(each.judged for each in grown if each.what == what) for what in growth.LIMITS},
        "leaks": [each.as_dict() for each in grown if each.leak],
        "growth": [each.as_dict() for each in grown],
        "disk_of_root_bytes": run.samples[-1].root - run.samples[0].root if run.samples else 0,
        "elsewhere": run.elsewhere,
        "wrong": wrong(run, grown),
    }


def wrong(run: Run, grown: Sequence[Growth]) -> list[str]:
    """Reasons why the run is not good, a sentence each; empty if it is."""
    problems = [f"{each.name}: {each.trouble}" for each in run.happened if each.trouble]
    if not run.chats:
        problems.append("no user chatted")
    for chat in unexcused(run):
        minute = (chat.ended - run.began) / 60
        problems.append(f"minute {minute:.1f}: {HABITS[chat.user % len(HABITS)].name}: {chat.failure}")
    problems += [
        f"{each.where} {each.program}: {each.what} grows by {amount(each.what, each.an_hour)} an hour"
        for each in grown
        if each.leak
    ]
    if run.elsewhere:
        problems.append(run.elsewhere)
    return problems


def unexcused(run: Run) -> list[Chat]:
    """The chats that failed outside of events that may cost some."""
    return [chat for chat in run.chats if chat.failure and not any(each.covers(chat) for each in run.happened)]


def phases(run: Run) -> Iterator[tuple[str, float, list[Chat]]]:
    """Name, start and chats of each phase: calm, then from each event to the next."""
    starts = [(CALM, run.began), *((each.name, each.began) for each in run.happened), ("", run.ended)]
    for (name, began), (_, ended) in pairwise(starts):
        yield name, began, [chat for chat in run.chats if began <= chat.began < ended]


def chat_figures(chats: Sequence[Chat]) -> dict[str, Any]:
    """Requests, failures by kind, and seconds to the first token."""
    waits = Quantiles()
    for chat in chats:
        if chat.first and not chat.failure:
            waits.add(chat.first - chat.began)
    return {
        "requests": len(chats),
        "failed": sum(bool(chat.failure) for chat in chats),
        "failures": dict(Counter(chat.failure for chat in chats if chat.failure)),
        "first_token_p50": round(waits.at(0.5), 2) if waits.count else None,
        "first_token_p95": round(waits.at(0.95), 2) if waits.count else None,
    }


def event(run: Run, happened: EventResult) -> dict[str, Any]:
    """Cost of an event: the chats that failed between its start and the next event's, and when the last one failed."""
    following = min((each.began for each in run.happened if each.began > happened.began), default=run.ended)
    failed = [chat for chat in run.chats if chat.failure and happened.began <= chat.ended < following]
    return {
        "event": happened.name,
        "minute": round((happened.began - run.began) / 60, 1),
        "failed": len(failed),
        "recovery_seconds": round(max((chat.ended for chat in failed), default=happened.began) - happened.began, 1),
        "whole_again_seconds": round(happened.ended - happened.began, 1),
        "allowed_seconds": happened.allowed_seconds,
        "trouble": happened.trouble,
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """The same report for people."""
    heads = ("requests", "failed", "first token p50 s", "p95 s")

    def cells(of: dict[str, Any]) -> list[str]:
        return [str(of[key]) for key in ("requests", "failed", "first_token_p50", "first_token_p95")]

    shown = [
        Table(
            f"soak of {found['minutes']} minutes: phases",
            ("phase", "minute", *heads),
            [
                *([each["phase"], str(each["minute"]), *cells(each)] for each in found["phases"]),
                ["all", "", *cells(found["chats"])],
            ],
        ),
        Table(
            "habits",
            ("habit", *heads),
            [[name, *cells(each)] for name, each in found["habits"].items()],
        ),
        Table(
            "events",
            ("event", "minute", "failed", "last failure after s", "recovered after s"),
            [
                [str(each[key]) for key in ("event", "minute", "failed", "recovery_seconds", "whole_again_seconds")]
                for each in found["events"]
            ],
        ),
    ]
    return shown + [_growth(found, what) for what in growth.LIMITS]


def _growth(found: dict[str, Any], what: str) -> Table:
    of = growth.worst([Growth(**each) for each in found["growth"]], what, ROWS)
    rows = [
        [
            each.where,
            each.program,
            f"{each.seconds / 60:.0f}",
            amount(what, each.first),
            amount(what, each.last),
            amount(what, each.an_hour),
            "leak" if each.leak else "ok" if each.judged else "observed too briefly",
        ]
        for each in of
    ]
    title = f"{what}: {found['judged'][what]} judged; the {len(rows)} that grow fastest"
    return Table(title, ("where", "program", "minutes", "from", "to", "per hour", "verdict"), rows)


def amount(what: str, value: float) -> str:
    return f"{value / MIB:.1f} MiB" if what in ("memory", "disk") else f"{value:.1f}"
