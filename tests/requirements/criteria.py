"""The criteria as docs/requirements.md words them, and the tests that prove each, from criteria.yaml."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
WORDS = ROOT / "docs" / "requirements.md"
PROOFS = Path(__file__).with_name("criteria.yaml")

PLACES = (
    ("terraform/", "plan"),
    ("tests/unit/", "process"),
    ("tests/embedded/", "embedded AWS"),
    ("tests/fabric/", "embedded AWS"),
    ("tests/gpu/", "GPU host"),
    ("tests/host/", "container"),
    ("tests/bake/", "container"),
    ("tests/image/", "container"),
    ("tests/lab/", "lab"),
    ("tests/serving/", "lab"),
)
"""Where a test runs, by the prefix of its id."""

NEEDS = {"gpu": "a GPU", "aws": "AWS"}


@dataclass(frozen=True)
class Need:
    """The command that settles a criterion on a suitable machine, and the tests that it runs there.

    Without tests, a person judges the result.
    """

    command: str
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Criterion:
    """``id``: ``requirement.criterion``; ``needs``: what this machine cannot prove, keyed by what it takes (NEEDS)."""

    id: str
    text: str
    tests: tuple[str, ...]
    needs: dict[str, Need]


def load() -> list[Criterion]:
    """All criteria in order. Raises KeyError for a criterion without an entry in criteria.yaml."""
    proofs: dict[str, Any] = yaml.safe_load(PROOFS.read_text())
    return [
        Criterion(
            number,
            text,
            tuple(proofs[number]["tests"]),
            {where: _need(entry) for where, entry in proofs[number].get("settled_by", {}).items()},
        )
        for number, text in words().items()
    ]


def _need(entry: Any) -> Need:
    return Need(entry) if isinstance(entry, str) else Need(entry["command"], tuple(entry["tests"]))


def words() -> dict[str, str]:
    """The text of each criterion by its id."""
    found: dict[str, str] = {}
    requirement = 0
    for line in WORDS.read_text().splitlines():
        if heading := re.fullmatch(r"### Requirement (\d+)", line):
            requirement = int(heading[1])
        elif requirement and (item := re.fullmatch(r"(\d+)\. (.+)", line)):
            found[f"{requirement}.{item[1]}"] = item[2]
    return found


def place(test: str) -> str:
    """Where a test runs. Raises StopIteration if the id has no known prefix."""
    return next(where for beginning, where in PLACES if test.startswith(beginning))
