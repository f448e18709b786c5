"""One host at a time: PostgreSQL's advisory lock. It ends with the connection, also when that ends by a crash."""

from __future__ import annotations

from typing import Any

NUMBER = 0x6F6C6C616D61  # "ollama"; any number that every host agrees on
WAIT = "20min"


def take(connection: Any, work: str) -> None:
    """Holds the lock until ``connection`` ends; waits for whoever has it in the same database."""
    connection.execute(f"set lock_timeout = '{WAIT}'")
    if not connection.execute("select pg_try_advisory_lock(%s)", (NUMBER,)).fetchone()[0]:
        print(f"waiting: another host {work}", flush=True)
        connection.execute("select pg_advisory_lock(%s)", (NUMBER,))
