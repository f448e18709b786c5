"""Write files so that a reader, or a full disk, never sees half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ollama_gpu.core.paths import make_folder


def replace(file: Path, text: str, mode: int = 0o666) -> None:
    """Write a file atomically with ``mode`` (less the umask). Its folder exists. Raises OSError."""
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=mode)
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def cached(file: Path, digest: str, compute: Callable[[], Any]) -> Any:
    """The JSON value that ``compute`` returned when its inputs had this digest; ``file`` keeps the last one."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["digest"] == digest:
            return kept["value"]
    except (OSError, ValueError, LookupError, TypeError):
        pass  # absent, or not written by this program
    value = compute()
    make_folder(file.parent)
    replace(file, json.dumps({"digest": digest, "value": value}))
    return value
