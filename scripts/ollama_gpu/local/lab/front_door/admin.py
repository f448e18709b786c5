"""A client of a running HAProxy's admin socket."""

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
_COMMANDS_PER_LINE = 20  # a line may have 16 KB


@dataclass(frozen=True)
class Admin:
    """The client of the socket in ``folder``. Every method raises OSError when HAProxy does not answer."""

    folder: Path

    def rows(self) -> dict[tuple[str, str], stats.Row]:
        """Return the present state of servers and backends."""
        return stats.parse(self.ask("show stat"))

    def process(self) -> int:
        """Return the ID of the process that serves the socket, as its container numbers it."""
        found = re.search(r"^Pid: (\d+)$", self.ask("show info"), re.MULTILINE)
        if found is None:
            raise OSError("HAProxy reported no process ID")
        return int(found[1])

    def run(self, commands: Sequence[str]) -> None:
        """Run commands in order."""
        for start in range(0, len(commands), _COMMANDS_PER_LINE):
            self.ask("; ".join(commands[start : start + _COMMANDS_PER_LINE]))

    def ask(self, command: str) -> str:
        """Run a command and return its whole output."""
        with _connected(self.folder) as connection:
            connection.sendall(f"{command}\n".encode())
            connection.shutdown(socket.SHUT_WR)
            blocks = iter(lambda: connection.recv(1 << 16), b"")
            return b"".join(blocks).decode("utf-8", "replace")


@contextmanager
def _connected(folder: Path) -> Iterator[socket.socket]:
    # By the folder's descriptor, because a socket's path can have only 107 characters.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
            yield connection
    finally:
        os.close(descriptor)
