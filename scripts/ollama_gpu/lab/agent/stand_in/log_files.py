"""Log files, a line an event, from their beginning."""

from __future__ import annotations

import os
import time

from .configuration import FileSource
from .outbox import Event


class LogFile:
    """One file. ``position`` says how far it was sent, as the outbox remembers it."""

    def __init__(self, source: FileSource, position: str | None) -> None:
        self._source = source
        self.path = source.path
        inode, _, offset = (position or "").partition(":")
        self._inode, self._offset = int(inode or 0), int(offset or 0)

    def new_lines(self) -> list[Event]:
        """The whole lines that were added since the last look; none while there is no file. Raises OSError."""
        try:
            file = open(self.path, "rb")  # noqa: PTH123, SIM115
        except FileNotFoundError:
            return []
        with file:
            seen = os.fstat(file.fileno())
            if seen.st_ino != self._inode or seen.st_size < self._offset:  # another file, or emptied
                self._inode, self._offset = seen.st_ino, 0
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        events = []
        for line in whole.splitlines(keepends=True):
            self._offset += len(line)
            text = line.decode(errors="replace").strip("\r\n")
            if text.strip():  # CloudWatch takes no empty event
                where = f"{self._inode}:{self._offset}"
                events.append(Event(self._source.destination, int(time.time() * 1000), text, self.path, where))
        return events
