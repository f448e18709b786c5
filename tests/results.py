"""Results of each single test of a tier, stored for later queries such as `make requirements`.

A test's id is its file and its name (``tests/unit/cli/test_cli.py::test_x``, ``terraform/…/x.tftest.hcl::a_run``). All
cases of one test count as that test.
"""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".ollama-gpu" / "tests" / "results"

WORST_FIRST = ("failed", "passed", "skipped")
"""Of several cases the first of these outcomes counts: a skipped case does not hide one that passed."""


@dataclass(frozen=True)
class Results:
    """Outcomes of a tier's tests by id: ``passed``, ``failed`` or ``skipped``. ``when`` is ISO 8601, UTC.

    ``seconds``: how long each case took, by the id with the case's parameters.
    """

    tier: str
    commit: str
    when: str
    tests: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def keep(tier: str, tests: Mapping[str, str], seconds: Mapping[str, float] | None = None) -> None:
    """Write a tier's outcomes, replacing those of its last run."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    results = Results(tier, _commit(), when, dict(sorted(tests.items())), dict(seconds or {}))
    (FOLDER / f"{tier}.json").write_text(json.dumps(asdict(results), indent=1) + "\n")


def keep_junit(tier: str, reports: Iterable[Path]) -> None:
    """Write the outcomes and durations of pytest's reports as those of a tier."""
    reports = list(reports)
    keep(tier, of_junit(reports), seconds_of_junit(reports))


def kept() -> list[Results]:
    """The last outcomes of every tier that has run in this checkout."""
    return [Results(**json.loads(file.read_text())) for file in sorted(FOLDER.glob("*.json"))]


def of_junit(reports: Iterable[Path]) -> dict[str, str]:
    """Outcomes by id from pytest's reports."""
    found: dict[str, str] = {}
    for file, case in _cases(reports):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        add(found, f"{file}::{case.attrib['name'].partition('[')[0]}", outcome)
    return found


def seconds_of_junit(reports: Iterable[Path]) -> dict[str, float]:
    """Duration of each case, with its fixtures, from pytest's reports."""
    return {f"{file}::{case.attrib['name']}": float(case.attrib.get("time", 0)) for file, case in _cases(reports)}


def _cases(reports: Iterable[Path]) -> Iterator[tuple[str, ElementTree.Element]]:
    """Each case with its test file. Leaves out entries that belong to no test, as after an interruption."""
    for report in reports:
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            if module := re.sub(r"(\.Test\w+)+$", "", case.attrib.get("classname", "")):
                yield module.replace(".", "/") + ".py", case


def slowest(tiers: Iterable[str], count: int) -> list[tuple[float, str]]:
    """The ``count`` slowest cases of the last run of these tiers, slowest first: seconds and id."""
    timed = [(seconds, test) for each in kept() if each.tier in tiers for test, seconds in each.seconds.items()]
    return sorted(timed, reverse=True)[:count]


def add(found: dict[str, str], test: str, outcome: str) -> None:
    """Count one more case of a test."""
    found[test] = min(found.get(test, outcome), outcome, key=WORST_FIRST.index)


def _commit() -> str:
    """The tested commit, followed by ``+`` if files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unversioned"
