"""Reads log files from their beginning, one event per line."""

from __future__ import annotations

import os
import time

from .configuration import FileSource
from .outbox import Event


class LogFile:
    """A log file. ``position`` is the end of what was sent, from the outbox."""

    def __init__(self, source: FileSource, position: str | None) -> None:
        self._source = source
        self.path = source.path
        inode, _, offset = (position or "").partition(":")
        self._inode, self._offset = int(inode or 0), int(offset or 0)

    def new_lines(self) -> list[Event]:
        """Return the complete lines since the last call; none while the file does not exist. Raises OSError."""
        try:
            file = open(self.path, "rb")  # noqa: PTH123, SIM115
        except FileNotFoundError:
            return []
        with file:
            seen = os.fstat(file.fileno())
            if seen.st_ino != self._inode or seen.st_size < self._offset:  # replaced or truncated
                self._inode, self._offset = seen.st_ino, 0
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        events = []
        for line in whole.splitlines(keepends=True):
            self._offset += len(line)
            text = line.decode(errors="replace").strip("\r\n")
            if text.strip():  # CloudWatch rejects empty events
                where = f"{self._inode}:{self._offset}"
                events.append(Event(self._source.destination, int(time.time() * 1000), text, self.path, where))
        return events
