"""Read the metadata at the start of a GGUF file, without the weights.

Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian like all of Ollama's models.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

Metadata = Mapping[str, Any]

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 28
"""Limit of strings and lists: a longer one means that the file is not GGUF, and would fill the memory."""


class NotGguf(ValueError):
    """The file is not GGUF, or is truncated."""


def read(file: Path) -> Metadata:
    """Return the metadata by key; a list of strings (a vocabulary has 262,144) as its length.

    Raises NotGguf and OSError.
    """
    with file.open("rb") as stream:
        if stream.read(4) != _MAGIC:
            raise NotGguf(f"{file.name} does not begin with GGUF")
        version = _scalar(stream, "I")
        if version not in (2, 3):
            raise NotGguf(f"{file.name} is GGUF version {version}; supported are 2 and 3")
        _scalar(stream, "Q")  # number of tensors
        count = _scalar(stream, "Q")
        return dict(_pair(stream) for _ in range(_bounded(count)))


def _pair(stream: BinaryIO) -> tuple[str, Any]:
    key = _string(stream)
    return key, _value(stream, _scalar(stream, "I"))


def _value(stream: BinaryIO, kind: int) -> Any:
    if kind in _SCALARS:
        return _scalar(stream, _SCALARS[kind])
    if kind == _STRING:
        return _string(stream)
    if kind == _ARRAY:
        inner, count = _scalar(stream, "I"), _bounded(_scalar(stream, "Q"))
        if inner in _SCALARS:
            code = _SCALARS[inner]
            return list(struct.unpack(f"<{count}{code}", _exactly(stream, count * struct.calcsize(code))))
        if inner == _STRING:
            for _ in range(count):
                _exactly(stream, _bounded(_scalar(stream, "Q")))
            return count
    raise NotGguf(f"a value of the unknown type {kind}")


def _string(stream: BinaryIO) -> str:
    return _exactly(stream, _bounded(_scalar(stream, "Q"))).decode("utf-8", "replace")


def _scalar(stream: BinaryIO, code: str) -> Any:
    return struct.unpack(f"<{code}", _exactly(stream, struct.calcsize(code)))[0]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise NotGguf("the file ends within its metadata")
    return content


def _bounded(count: int) -> int:
    if count > _LONGEST:
        raise NotGguf(f"a length of {count}")
    return count
