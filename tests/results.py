"""What each single test of a tier came to, kept for whoever asks later: `make requirements`.

A test's id is its file and its name (``tests/unit/test_cli.py::test_x``, ``terraform/…/x.tftest.hcl::a_run``); the
cases of one test count as that test.
"""

from __future__ import annotations

import json
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".ollama-gpu" / "tests" / "results"

WORST_FIRST = ("failed", "passed", "skipped")
"""Of several cases the first of these counts: one that was skipped takes nothing from one that passed."""


@dataclass(frozen=True)
class Results:
    """Outcomes of a tier's tests by id: ``passed``, ``failed`` or ``skipped``. ``when`` is ISO 8601, UTC."""

    tier: str
    commit: str
    when: str
    tests: dict[str, str] = field(default_factory=dict)


def keep(tier: str, tests: Mapping[str, str]) -> None:
    """Write a tier's outcomes in the place of those of its last run."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    results = Results(tier, _commit(), datetime.now(UTC).isoformat(timespec="seconds"), dict(sorted(tests.items())))
    (FOLDER / f"{tier}.json").write_text(json.dumps(asdict(results), indent=1) + "\n")


def kept() -> list[Results]:
    """The last outcomes of every tier that has run in this checkout."""
    return [Results(**json.loads(file.read_text())) for file in sorted(FOLDER.glob("*.json"))]


def of_junit(reports: Iterable[Path]) -> dict[str, str]:
    """Outcomes by id from pytest's reports; what a report could not attribute to a test is left out."""
    found: dict[str, str] = {}
    for report in reports:
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            module = re.sub(r"(\.Test\w+)+$", "", case.attrib["classname"])
            file = module.replace(".", "/") + ".py"
            name = case.attrib["name"].partition("[")[0]
            kinds = {child.tag for child in case}
            outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
            add(found, f"{file}::{name}", outcome)
    return found


def add(found: dict[str, str], test: str, outcome: str) -> None:
    """Count one more case of a test."""
    found[test] = min(found.get(test, outcome), outcome, key=WORST_FIRST.index)


def _commit() -> str:
    """The commit that was tested, with ``+`` after it where files differ from it."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip() or "unversioned"
