"""Files are replaced as a whole, and computed values are kept until their inputs change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ollama_gpu.core import files


def test_file_is_replaced_with_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    files.replace(file, "new", mode=0o600)
    assert file.read_text() == "new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_failed_write_keeps_the_old_file_and_leaves_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="space"):
            files.replace(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_value_is_computed_again_only_for_another_digest(tmp_path: Path) -> None:
    file, computed = tmp_path / "folder" / "a.json", []

    def compute() -> list[int]:
        computed.append(len(computed))
        return list(computed)

    assert files.cached(file, "a", compute) == [0]
    assert files.cached(file, "a", compute) == [0]
    assert files.cached(file, "b", compute) == [0, 1]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"digest": "a"}'])
def test_damaged_cache_is_computed_again(tmp_path: Path, content: str) -> None:
    file = tmp_path / "a.json"
    file.write_text(content)
    assert files.cached(file, "a", lambda: 1) == 1
