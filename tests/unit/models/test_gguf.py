"""Metadata is read from a GGUF file without its weights, and an invalid file is an error."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.models import gguf
from tests.unit.models.gguf_files import file as written
from tests.unit.models.gguf_files import text


def listed(kind: int, count: int, values: bytes) -> bytes:
    return struct.pack("<IQ", kind, count) + values


PAIRS = (
    ("general.architecture", 8, text("gemma3")),
    ("gemma3.block_count", 4, struct.pack("<I", 18)),
    ("gemma3.rope.freq_base", 6, struct.pack("<f", 0.5)),
    ("gemma3.attention.head_count_kv", 9, listed(5, 3, struct.pack("<3i", 1, 0, 2))),
    ("gemma3.attention.sliding_window_pattern", 9, listed(7, 2, b"\x01\x00")),
    ("tokenizer.ggml.tokens", 9, listed(8, 2, text("a") + text("bc"))),
    ("gemma3.context_length", 10, struct.pack("<Q", 1 << 40)),
)
MEANING: dict[str, Any] = {
    "general.architecture": "gemma3",
    "gemma3.block_count": 18,
    "gemma3.rope.freq_base": 0.5,
    "gemma3.attention.head_count_kv": [1, 0, 2],
    "gemma3.attention.sliding_window_pattern": [True, False],
    "tokenizer.ggml.tokens": 2,
    "gemma3.context_length": 1 << 40,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


@pytest.mark.parametrize("version", [2, 3])
def test_every_type_of_value_is_read(file: Path, version: int) -> None:
    file.write_bytes(written(*PAIRS, version=version))
    assert gguf.read(file) == MEANING


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not begin with GGUF"),
        (b"PK\x03\x04 and so on", "does not begin with GGUF"),
        (written(version=1), "version 1"),
        (written(*PAIRS)[:90], "ends within its metadata"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60), "a length of"),
        (written(("key", 99, b"")), "unknown type 99"),
    ],
)
def test_invalid_file_is_an_error(file: Path, content: bytes, said: str) -> None:
    file.write_bytes(content)
    with pytest.raises(gguf.NotGguf, match=said):
        gguf.read(file)
