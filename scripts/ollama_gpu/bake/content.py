"""Compute the content key of an image: the same inputs give the same key, on any machine and at any time.

Neither the time nor the git commit is an input: a commit that changes only the driver's comments causes no bake.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from ollama_gpu.local.lab.build_cache import file_digest

KEY_DIGITS = 16
_GENERATED = {"__pycache__", ".pytest_cache", ".ansible"}


def files_of(folder: Path) -> list[Path]:
    """The source files under a folder, sorted, without generated ones. Links to files count as their targets."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not _GENERATED & set(path.parts)
        and path.suffix not in (".pyc", ".gz")
        and path.relative_to(folder).parts[:2] != ("tests", "output")
    )


def digest_of_files(root: Path, files: Iterable[Path]) -> dict[str, str]:
    """The digest of each file by its path below ``root``: `x` if the file is executable, else `-`, and the sha256."""
    return {
        path.relative_to(root).as_posix(): f"{'x' if path.stat().st_mode & 0o100 else '-'}{file_digest(path)}"
        for path in files
    }


def key(inputs: Mapping[str, object]) -> str:
    """The first 16 hexadecimal digits of the sha256 of the inputs as canonical JSON."""
    canonical = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:KEY_DIGITS]
