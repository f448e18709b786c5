"""Which point a part is restored from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ollama_gpu.backup.points import Point, choose
from ollama_gpu.errors import UserError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def point(part: str, hours: int, backup: str | None = None) -> Point:
    return Point(part, f"{part}-{hours}", NOW - timedelta(hours=hours), 1, backup, f"arn:{part}-{hours}")


POINTS = [  # newest first, as they are read
    point("database", 1),
    point("files", 1),
    point("uploads", 2, "yesterday"),
    point("database", 2, "yesterday"),
    point("configuration", 2, "yesterday"),
    point("uploads", 3),
]


def test_without_a_name_every_part_comes_from_its_newest_point() -> None:
    chosen = choose(POINTS, None, ())
    assert {part: each.id for part, each in chosen.items()} == {
        "database": "database-1",
        "uploads": "uploads-2",
        "configuration": "configuration-2",
    }


def test_a_backup_by_name_brings_the_parts_that_it_has() -> None:
    assert {each.id for each in choose(POINTS, "yesterday", ()).values()} == {
        "database-2",
        "uploads-2",
        "configuration-2",
    }


def test_a_point_by_name_brings_itself_alone() -> None:
    assert [each.id for each in choose(POINTS, "uploads-3", ()).values()] == ["uploads-3"]


def test_only_these_parts() -> None:
    assert set(choose(POINTS, "yesterday", ["database"])) == {"database"}


@pytest.mark.parametrize(
    ("wanted", "only", "words"),
    [
        ("tomorrow", (), "named tomorrow"),
        (None, ["models"], "of models"),
        ("uploads-3", ["database"], "of database named uploads-3"),
        (None, ["files"], "files cannot be restored"),
    ],
)
def test_what_there_is_none_of_is_refused(wanted: str | None, only: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        choose(POINTS, wanted, only)
