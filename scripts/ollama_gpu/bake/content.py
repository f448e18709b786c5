"""The content key of an image: the same inputs make the same image, whoever bakes it and whenever.

Neither the time nor the git commit is part of it: a commit that changes only a comment in the driver bakes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ollama_gpu.lab.recipe import file_digest

KEY_DIGITS = 16
_GENERATED = {"__pycache__", ".pytest_cache", ".ansible"}


def files_of(folder: Path) -> list[Path]:
    """Every file under a folder that a person wrote, in an order of its own; links to files count as what they show."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not _GENERATED & set(path.parts)
        and path.suffix not in (".pyc", ".gz")
        and path.relative_to(folder).parts[:2] != ("tests", "output")
    )


def digest_of_files(root: Path, files: Iterable[Path]) -> dict[str, str]:
    """sha256 by path below ``root``; whether a file may be executed is part of it."""
    return {
        path.relative_to(root).as_posix(): f"{'x' if path.stat().st_mode & 0o100 else '-'}{file_digest(path)}"
        for path in files
    }


def key(inputs: Mapping[str, object]) -> str:
    """The first 16 hexadecimal digits of the sha256 over the inputs as canonical JSON."""
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_DIGITS]
