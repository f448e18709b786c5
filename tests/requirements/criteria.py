"""The criteria as the project's own words have them, and the tests that prove each by criteria.yaml."""

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
    ("tests/embedded_aws/", "embedded AWS"),
    ("tests/fabric/", "embedded AWS"),
    ("tests/gpu/", "GPU host"),
    ("tests/host/", "container"),
    ("tests/bake/", "container"),
    ("tests/image/", "container"),
    ("tests/lab/", "lab"),
    ("tests/serving/", "lab"),
)
"""Where a test runs, by the beginning of its id."""

NEEDS = {"gpu": "a GPU", "aws": "AWS"}


@dataclass(frozen=True)
class Need:
    """The command that settles a criterion where there is what it takes, and the tests that this runs there.

    Without tests it is a person who sees it settled.
    """

    command: str
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Criterion:
    """``id``: ``requirement.criterion``; ``needs``: what this machine cannot tell, by the place that can (NEEDS)."""

    id: str
    text: str
    tests: tuple[str, ...]
    needs: dict[str, Need]


def load() -> list[Criterion]:
    """Every criterion in its order. Raises KeyError for one that criteria.yaml does not prove."""
    proofs: dict[str, Any] = yaml.safe_load(PROOFS.read_text())
    return [
        Criterion(
            number,
            text,
            tuple(proofs[number]["tests"]),
            {where: _need(said) for where, said in proofs[number].get("settled_by", {}).items()},
        )
        for number, text in words().items()
    ]


def _need(said: Any) -> Need:
    return Need(said) if isinstance(said, str) else Need(said["command"], tuple(said["tests"]))


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
    """Where a test runs. Raises StopIteration for an id of no known place."""
    return next(where for beginning, where in PLACES if test.startswith(beginning))
