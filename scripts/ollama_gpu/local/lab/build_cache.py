"""The lab's build cache. A result's name contains the key of its inputs, so that it is built once and found again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError

KEY_DIGITS = 12
WAIT_SECONDS = 1800.0  # an empty cache takes up to 20 minutes to fill


def key(*inputs: object) -> str:
    """Return a short digest of all inputs of a build (JSON values, and bytes)."""
    text = json.dumps(inputs, sort_keys=True, default=_text)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file below a folder, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_digest(path) for path in files}


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``folder`` on success and is removed on failure.

    Use it under `locked`, because it also removes incomplete folders of killed commands.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    partial.chmod(0o755)  # the mirror's user could not enter mkdtemp's 0700
    try:
        yield partial
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def locked(cache: Path, seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock of a cache. A second command waits for the first, and then finds its results.

    Raises UserError after ``seconds``.
    """
    cache.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    with (cache / "lock").open("a+", encoding="utf-8") as lock:
        if not _lock(lock):
            note(f"Another command is filling {cache}: waiting for it.")
        while not _lock(lock):
            if time.monotonic() > deadline:
                raise UserError(f"Another command is still filling {cache}.", "Find out why, or stop it.")
            time.sleep(0.5)
        yield


def _lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _text(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)
