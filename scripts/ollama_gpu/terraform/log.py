"""The raw log of one Terraform run: a file of its own, readable by its owner only."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ollama_gpu.errors import UserError

KEPT_LOGS = 50


class RunLog:
    """What Terraform wrote, as it wrote it, between a first line (the command) and a last (its exit status).

    Opening proves that the folder can be written, because a run whose log is lost cannot be explained
    afterwards. Once Terraform runs, no failure to write stops it: an apply that dies half-way costs more than
    a log. ``failure`` then says what happened, once.
    """

    def __init__(self, folder: Path, command: str, argv: Sequence[str]) -> None:
        """Raises UserError when the folder cannot be written (permissions, no space)."""
        now = datetime.now(UTC)
        self.path = folder / f"{now:%Y%m%dT%H%M%S.%f}Z-{command.replace(' ', '-')}.jsonl"
        self.failure: OSError | None = None
        self._began = time.monotonic()
        first = {"type": "run", "started": now.isoformat(), "command": list(argv)}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # O_EXCL: a link planted at the name is not followed. O_CLOEXEC is Python's default.
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            try:
                self._write_all(json.dumps(first).encode() + b"\n")
                os.fsync(self._descriptor)  # some file systems report a full disk only here
            except OSError:
                os.close(self._descriptor)
                with suppress(OSError):
                    self.path.unlink()
                raise
        except OSError as error:
            raise UserError(
                f"Terraform was not started: its log cannot be written to {folder}: {error.strerror}.",
                "Make room, make it writable, or name another work folder: OLLAMA_GPU_WORK=/path make ...",
            ) from error
        prune(folder)

    def write(self, chunk: bytes) -> None:
        """Append what Terraform wrote; after the first failure nothing more is tried."""
        if self.failure is None:
            try:
                self._write_all(chunk)
            except OSError as error:
                self.failure = error

    def _write_all(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def close(self, status: int | None) -> None:
        last = {"type": "exit", "status": status, "seconds": round(time.monotonic() - self._began, 3)}
        self.write(json.dumps(last).encode() + b"\n")
        os.close(self._descriptor)


def prune(folder: Path, keep: int = KEPT_LOGS) -> None:
    """Remove all but the newest logs; the names sort by time. Another run may be doing the same."""
    for old in sorted(folder.glob("*.jsonl"))[:-keep]:
        with suppress(OSError):
            old.unlink()
