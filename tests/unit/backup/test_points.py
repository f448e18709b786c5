"""Which recovery point each part is restored from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ollama_gpu.backup.points import Point, choose
from ollama_gpu.core.errors import UserError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def point(part: str, hours: int, backup: str | None = None) -> Point:
    return Point(part, f"{part}-{hours}", NOW - timedelta(hours=hours), 1, backup, f"arn:{part}-{hours}")


POINTS = [  # newest first, as in points.read
    point("database", 1),
    point("files", 1),
    point("uploads", 2, "yesterday"),
    point("database", 2, "yesterday"),
    point("configuration", 2, "yesterday"),
    point("uploads", 3),
]


def test_newest_point_of_each_part_is_default() -> None:
    chosen = choose(POINTS, None, ())
    assert {part: each.id for part, each in chosen.items()} == {
        "database": "database-1",
        "uploads": "uploads-2",
        "configuration": "configuration-2",
    }


def test_backup_selects_all_its_parts() -> None:
    assert {each.id for each in choose(POINTS, "yesterday", ()).values()} == {
        "database-2",
        "uploads-2",
        "configuration-2",
    }


def test_point_selects_only_itself() -> None:
    assert [each.id for each in choose(POINTS, "uploads-3", ()).values()] == ["uploads-3"]


def test_only_limits_parts() -> None:
    assert set(choose(POINTS, "yesterday", ["database"])) == {"database"}


@pytest.mark.parametrize(
    ("name", "only", "message"),
    [
        ("tomorrow", (), "named tomorrow"),
        (None, ["models"], "of models"),
        ("uploads-3", ["database"], "of database named uploads-3"),
        (None, ["files"], "files cannot be restored"),
    ],
)
def test_unknown_backup_or_part_is_refused(name: str | None, only: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose(POINTS, name, only)
