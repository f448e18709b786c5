"""The build cache: keys of inputs, atomic results, one command at a time."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.build_cache import atomic_folder, folder_digests, key, locked


def test_key_ignores_the_order_of_a_mapping() -> None:
    assert key({"a": 1, "b": b"x"}, ("c",)) == key({"b": b"x", "a": 1}, ("c",))


@pytest.mark.parametrize("other", [({"a": 2}, b"x"), ({"a": 1}, b"y"), ({"a": 1},)])
def test_other_inputs_have_another_key(other: tuple[object, ...]) -> None:
    assert key(*other) != key({"a": 1}, b"x")


def test_folder_digests_cover_the_content_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_text("one")
    before = folder_digests(tmp_path)
    (tmp_path / "inner" / "file").write_text("two")
    assert list(before) == ["inner/file"]
    assert folder_digests(tmp_path) != before


def test_atomic_folder_appears_at_the_end(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "thing") as partial:
        (partial / "file").write_text("new")
        assert not (tmp_path / "thing").exists()
    assert (tmp_path / "thing" / "file").read_text() == "new"
    assert (tmp_path / "thing").stat().st_mode & 0o777 == 0o755


def test_failure_keeps_the_previous_folder_and_removes_the_partial_one(tmp_path: Path) -> None:
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "file").write_text("old")

    def fail() -> None:
        with atomic_folder(tmp_path / "thing") as partial:
            (partial / "file").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]
    assert (tmp_path / "thing" / "file").read_text() == "old"


def test_partial_folder_of_a_killed_command_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".thing.abc").mkdir()
    (tmp_path / ".thing.abc" / "file").write_text("half")
    with atomic_folder(tmp_path / "thing"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def test_second_command_waits_for_the_lock(tmp_path: Path) -> None:
    first_has_it, order = threading.Event(), []

    def first() -> None:
        with locked(tmp_path):
            first_has_it.set()
            time.sleep(0.7)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    first_has_it.wait()
    with locked(tmp_path):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_second_command_times_out(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(UserError, match="still filling"), locked(tmp_path, seconds=0.1):
        pass
