"""HAProxy's own account of its servers and backends: the lines of ``show stat``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass

BACKEND = "BACKEND"


@dataclass(frozen=True)
class Row:
    """A server, or (named BACKEND) a backend.

    ``since`` is how long it has been in this state in seconds, ``passed`` how many checks in a row were good (of one
    that is down), ``responses`` counts answers by the first digit of their status, ``response_seconds`` is the mean
    time until the headers of the last 1024 answers.
    """

    status: str
    sessions: int
    requests: int
    since: int
    check_status: str
    passed: int
    responses: Mapping[int, int]
    response_seconds: float

    @property
    def in_maintenance(self) -> bool:
        return self.status.startswith("MAINT")

    @property
    def is_down(self) -> bool:
        return self.status.startswith("DOWN")


def parse(text: str) -> dict[tuple[str, str], Row]:
    """The rows of ``show stat`` by backend and server."""
    lines = [line for line in text.lstrip("# ").splitlines() if line]
    return {
        (line["pxname"], line["svname"]): _row(line) for line in csv.DictReader(lines) if line["svname"] != "FRONTEND"
    }


def _row(line: Mapping[str, str]) -> Row:
    def number(field: str) -> int:
        return int(line[field] or 0)

    return Row(
        status=line["status"],
        sessions=number("scur"),
        requests=number("req_tot") if line["svname"] == BACKEND else number("stot"),
        since=number("lastchg"),
        check_status=line["check_status"].removeprefix("* "),  # a check runs right now
        passed=number("check_health"),
        responses={digit: number(f"hrsp_{digit}xx") for digit in range(1, 6)},
        response_seconds=number("rtime") / 1000,
    )
