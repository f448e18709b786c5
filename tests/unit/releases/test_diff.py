"""The comparison of two releases."""

from __future__ import annotations

from ollama_gpu.releases.diff import diffs, facts, lines
from tests.unit.deploy.test_rollback import record


def test_maps_are_compared_by_entry() -> None:
    one = record(1, "first", templates={"batch": "1", "interactive": "1"}, instance={"variables": {"a": 1}})
    other = record(2, "second", templates={"batch": "1", "interactive": "2"}, image="ami-2")
    assert facts(one, other) == {
        "release": ["first", "second"],
        "image": ["ami-1", "ami-2"],
        "templates.interactive": ["1", "2"],
        "instance.variables": [{"a": 1}, None],
    }


def test_changed_new_and_removed_files_have_a_diff() -> None:
    found = diffs({"a": "x\ny\n", "b": "same", "c": "old"}, {"a": "x\nz\n", "b": "same", "d": "new"})
    assert set(found) == {"a", "c", "d"}
    assert found["a"][-2:] == ["-y", "+z"]
    assert found["c"][-1] == "-old"
    assert found["d"][-1] == "+new"


def test_identical_releases_are_reported() -> None:
    assert lines({"first": 1, "second": 2, "facts": {}, "files": {}}) == ["Releases 1 and 2 are identical."]
