"""A thing is named by what it is made from; it is there whole or not at all."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.lab.recipe import exclusive, folder_digests, key, making


def test_the_same_inputs_have_the_same_key_whatever_the_order_of_a_mapping() -> None:
    assert key({"a": 1, "b": b"x"}, ("c",)) == key({"b": b"x", "a": 1}, ("c",))


@pytest.mark.parametrize("other", [({"a": 2}, b"x"), ({"a": 1}, b"y"), ({"a": 1},)])
def test_any_other_input_has_another_key(other: tuple[object, ...]) -> None:
    assert key(*other) != key({"a": 1}, b"x")


def test_a_folder_is_known_by_the_content_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "file").write_text("one")
    before = folder_digests(tmp_path)
    (tmp_path / "inner" / "file").write_text("two")
    assert list(before) == ["inner/file"]
    assert folder_digests(tmp_path) != before


def test_what_was_made_takes_its_place_at_the_end(tmp_path: Path) -> None:
    with making(tmp_path / "thing") as partial:
        (partial / "file").write_text("new")
        assert not (tmp_path / "thing").exists()
    assert (tmp_path / "thing" / "file").read_text() == "new"
    assert (tmp_path / "thing").stat().st_mode & 0o777 == 0o755


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "thing").mkdir()
    (tmp_path / "thing" / "file").write_text("old")

    def fail() -> None:
        with making(tmp_path / "thing") as partial:
            (partial / "file").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]
    assert (tmp_path / "thing" / "file").read_text() == "old"


def test_what_a_killed_command_left_half_made_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".thing.abc").mkdir()
    (tmp_path / ".thing.abc" / "file").write_text("half")
    with making(tmp_path / "thing"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def test_a_second_command_waits_while_the_first_fills_the_cache(tmp_path: Path) -> None:
    first_has_it, order = threading.Event(), []

    def first() -> None:
        with exclusive(tmp_path):
            first_has_it.set()
            time.sleep(0.7)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    first_has_it.wait()
    with exclusive(tmp_path):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_second_command_gives_up_in_the_end(tmp_path: Path) -> None:
    with exclusive(tmp_path), pytest.raises(UserError, match="still filling"), exclusive(tmp_path, seconds=0.1):
        pass
