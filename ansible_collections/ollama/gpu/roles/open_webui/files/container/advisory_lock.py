"""Allow one host at a time through PostgreSQL's advisory lock. The lock ends with the connection, even in a crash."""

from __future__ import annotations

from typing import Any

NUMBER = 0x6F6C6C616D61  # "ollama" in ASCII; any number that is the same on every host
WAIT = "20min"


def take(connection: Any, work: str) -> None:
    """Take the lock until ``connection`` ends. Waits for another host that has it in the same database."""
    connection.execute(f"set lock_timeout = '{WAIT}'")
    if not connection.execute("select pg_try_advisory_lock(%s)", (NUMBER,)).fetchone()[0]:
        print(f"waiting: another host {work}", flush=True)
        connection.execute("select pg_advisory_lock(%s)", (NUMBER,))
