"""Print each criterion, the tests that prove it, where each test runs, and its result.

    python -m tests.requirements [--json]

The results come from the last run of each tier of `make test` in this checkout. A test without a result is "not run".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from tests import results
from tests.requirements import criteria
from tests.requirements.criteria import NEEDS, Criterion


def main(arguments: Sequence[str]) -> int:
    if set(arguments) - {"--json"}:
        print("usage: python -m tests.requirements [--json]", file=sys.stderr)
        return 2
    outcomes, commits = last_outcomes()
    rows = [row(each, outcomes) for each in criteria.load()]
    if "--json" in arguments:
        print(json.dumps(rows, indent=2))
    else:
        show(rows, commits)
    return 1 if any(each["result"] == "failed" for each in rows) else 0


def last_outcomes() -> tuple[dict[str, str], list[str]]:
    """Outcomes by test id from every tier's last run, and the tested commits."""
    kept = results.kept()
    outcomes = {test: outcome for each in kept for test, outcome in each.tests.items()}
    return outcomes, sorted({each.commit for each in kept})


def row(criterion: Criterion, outcomes: Mapping[str, str]) -> dict[str, Any]:
    """A criterion for programs."""

    def seen(tests: Sequence[str], where: str = "") -> list[dict[str, str]]:
        return [
            {"id": test, "where": where or criteria.place(test), "result": outcomes.get(test, "not run")}
            for test in tests
        ]

    tests = seen(criterion.tests)
    settled_by = {
        key: {"command": need.command, "tests": seen(need.tests, f"needs {NEEDS[key]}")}
        for key, need in criterion.needs.items()
    }
    return {
        "id": criterion.id,
        "text": criterion.text,
        "tests": tests,
        "where": list(dict.fromkeys(test["where"] for test in tests))
        + [f"needs {NEEDS[key]}" for key in criterion.needs],
        "result": result(
            [test["result"] for test in tests],
            {key: [test["result"] for test in each["tests"]] for key, each in settled_by.items()},
        ),
        "settled_by": settled_by,
    }


def result(of_tests: Sequence[str], of_needs: Mapping[str, Sequence[str]]) -> str:
    """``failed`` or ``not run`` if any test was; else ``passed``, or the need that is still open.

    ``of_needs``: the results of the tests of each need. A need is settled when all its tests have passed.
    """
    if "failed" in [*of_tests, *(each for found in of_needs.values() for each in found)]:
        return "failed"
    if set(of_tests) & {"not run", "skipped"}:
        return "not run"
    open_needs = [NEEDS[key] for key, found in of_needs.items() if not found or set(found) != {"passed"}]
    return "needs " + " and ".join(open_needs) if open_needs else "passed"


def show(rows: Sequence[Mapping[str, Any]], commits: Sequence[str]) -> None:
    """Print a table for people; one line per test."""
    table = Table(title="The fifty criteria", show_lines=True)
    for column in ("id", "criterion", "proved by", "where", "result"):
        table.add_column(column, overflow="fold")
    colours = {"passed": "green", "failed": "red"}
    for each in rows:
        tests = "\n".join(
            f"{test['id']}" + ("" if test["result"] == "passed" else f" ({test['result']})") for test in each["tests"]
        )
        settled = "".join(
            f"\nsettled on {NEEDS[key]} by: {need['command']}"
            + "".join(f"\n  {test['id']} ({test['result']})" for test in need["tests"])
            for key, need in each["settled_by"].items()
        )
        colour = colours.get(each["result"], "yellow")
        table.add_row(
            each["id"], each["text"], tests + settled, "\n".join(each["where"]), f"[{colour}]{each['result']}[/]"
        )
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    counts = {
        kind: sum(each["result"] == kind for each in rows) for kind in dict.fromkeys(each["result"] for each in rows)
    }
    console.print(", ".join(f"{count} {kind}" for kind, count in counts.items()))
    if not commits:
        console.print("No tier has run in this checkout: make test")
    elif len(commits) > 1:
        console.print(f"The tiers ran at different commits: {', '.join(commits)}")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:  # `make requirements | head`: the reader has closed the pipe
        sys.stderr.close()
        sys.exit(141)
