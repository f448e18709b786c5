"""Talks to a running HAProxy through its administrator's socket."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import stats
from .configuration import SOCKET

_SECONDS = 5.0
_TOGETHER = 20  # commands in one line, which may have 16 KB


@dataclass(frozen=True)
class Admin:
    """``folder`` has the socket. Every method raises OSError when HAProxy does not answer."""

    folder: Path

    def rows(self) -> dict[tuple[str, str], stats.Row]:
        """Servers and backends as they are now."""
        return stats.parse(self.ask("show stat"))

    def process(self) -> int:
        """The pid of the process that has the socket, in its container."""
        found = re.search(r"^Pid: (\d+)$", self.ask("show info"), re.MULTILINE)
        if found is None:
            raise OSError("HAProxy gave no pid")
        return int(found[1])

    def give(self, commands: Sequence[str]) -> None:
        """Give commands, in their order."""
        for start in range(0, len(commands), _TOGETHER):
            self.ask("; ".join(commands[start : start + _TOGETHER]))

    def ask(self, command: str) -> str:
        """The whole answer to a command."""
        with _connected(self.folder) as connection:
            connection.sendall(f"{command}\n".encode())
            connection.shutdown(socket.SHUT_WR)
            blocks = iter(lambda: connection.recv(1 << 16), b"")
            return b"".join(blocks).decode("utf-8", "replace")


@contextmanager
def _connected(folder: Path) -> Iterator[socket.socket]:
    # By the folder's descriptor, since a socket's path may have 107 characters only.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
            yield connection
    finally:
        os.close(descriptor)
