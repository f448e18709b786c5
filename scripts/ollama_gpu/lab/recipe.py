"""What a thing is made from decides its name, so that what has been made once is found and not made again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ollama_gpu.errors import UserError

KEY_DIGITS = 12


def key(*inputs: object) -> str:
    """A short digest of everything that goes into a thing (anything that JSON can say, and bytes)."""
    text = json.dumps(inputs, sort_keys=True, default=_text)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_DIGITS]


def file_digest(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file below a folder, by its relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_digest(path) for path in files}


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of ``folder`` when all went well, and vanishes otherwise.

    To be used under `exclusive`: what a killed command left half made is removed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    partial.chmod(0o755)  # mkdtemp's 0700 would keep the mirror's own user out
    try:
        yield partial
        if folder.exists():
            shutil.rmtree(folder)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def exclusive(cache: Path) -> Iterator[None]:
    """One supplier at a time for a cache; a second is told so instead of building the same beside the first."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"Another command is filling {cache}.", "Wait for it, then run this one again.") from error
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _text(value: object) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)
