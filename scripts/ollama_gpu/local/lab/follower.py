"""Starts, finds and stops the background process that keeps the lab in step with the embedded AWS (`follow`)."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.core.background import BackgroundProcess
from ollama_gpu.core.errors import UserError

MODULE = "ollama_gpu.local.lab.follow"
START_SECONDS = 30.0


class Follower:
    """The follower with its log, record and lock in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._process = BackgroundProcess(folder, "follow", MODULE, "The lab's follower")
        self._ready = folder / "follow.ready"

    def running(self) -> int | None:
        """Return the follower's process ID; None if it does not run."""
        record = self._process.record()
        return record.pid if record else None

    def start(self, environment: str) -> int:
        """Start the follower, unless it runs, and return its process ID.

        Raises UserError, with the end of its log, when it ends at once.
        """
        with self._process.locked():
            if pid := self.running():
                return pid
            self._ready.unlink(missing_ok=True)
            child = self._process.start(["--env", environment], cwd=Path.cwd())  # OLLAMA_GPU_WORK may be relative
            try:
                self._process.wait(child.pid, self._ready.exists, START_SECONDS)
            except (UserError, KeyboardInterrupt):
                self._process.abandon(child)
                raise
            return child.pid

    def stop(self) -> bool:
        """Stop the follower and return whether one was running."""
        return self._process.stop()

    def started(self) -> None:
        """Signal to the command that started the follower that it is ready. The follower calls this."""
        self._ready.touch()
