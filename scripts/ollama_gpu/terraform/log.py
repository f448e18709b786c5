"""The raw log of one Terraform run: a separate file that only its owner can read."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ollama_gpu.core.errors import UserError

KEPT_LOGS = 50


class RunLog:
    """Terraform's unchanged output between a first line (the command) and a last line (the exit status).

    Creating the log checks that the folder is writable, because a run without a log cannot be explained afterwards.
    Once Terraform runs, a failed write does not stop it: an incomplete apply is worse than an incomplete log.
    ``failure`` is then the first error.
    """

    def __init__(self, folder: Path, command: str, argv: Sequence[str]) -> None:
        """Create the log. Raises UserError if the folder is not writable (permissions, no space)."""
        now = datetime.now(UTC)
        self.path = folder / f"{now:%Y%m%dT%H%M%S.%f}Z-{command.replace(' ', '-')}.jsonl"
        self.failure: OSError | None = None
        self._began = time.monotonic()
        first = {"type": "run", "started": now.isoformat(), "command": list(argv)}
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            # O_EXCL does not follow a link planted at the path. O_CLOEXEC is Python's default.
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            try:
                self._write_all(json.dumps(first).encode() + b"\n")
                os.fsync(self._descriptor)  # some file systems report a full disk only on fsync
            except OSError:
                os.close(self._descriptor)
                with suppress(OSError):
                    self.path.unlink()
                raise
        except OSError as error:
            raise UserError(
                f"Terraform was not started, because its log cannot be written to {folder}: {error.strerror}.",
                "Free disk space, make the folder writable, or set OLLAMA_GPU_WORK to another folder.",
            ) from error
        prune(folder)

    def write(self, chunk: bytes) -> None:
        """Append output; does nothing after the first failure."""
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
    """Remove all but the newest logs; names sort by time. Another run may do the same concurrently."""
    for old in sorted(folder.glob("*.jsonl"))[:-keep]:
        with suppress(OSError):
            old.unlink()
