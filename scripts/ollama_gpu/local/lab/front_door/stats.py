"""The state of HAProxy's servers and backends, from ``show stat``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass

BACKEND = "BACKEND"


@dataclass(frozen=True)
class Row:
    """A server, or (named BACKEND) a backend.

    ``since`` is the time in this state in seconds. ``passed`` is the number of consecutive successful checks of a
    server that is down. ``responses`` counts responses by the first digit of their status. ``response_seconds`` is the
    mean time to the headers over the last 1024 responses.
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
    """Return the rows of ``show stat`` by backend and server."""
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
        check_status=line["check_status"].removeprefix("* "),  # the prefix marks a check in progress
        passed=number("check_health"),
        responses={digit: number(f"hrsp_{digit}xx") for digit in range(1, 6)},
        response_seconds=number("rtime") / 1000,
    )
