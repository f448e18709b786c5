"""Run one Open WebUI process on 127.0.0.1:PORT, without migrations.

Replaces the image's start script, which would generate its own secret key and log to a file.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import settings

# Garbage collections of the oldest generation paused a process for up to 606 ms. With these thresholds the worst added
# time to a first token fell from 1101 to 331 ms (one measurement of 0.12.4 under load).
GC_THRESHOLDS = (50_000, 25, 50)
SCHEMA_WAIT_SECONDS = 120.0
SCHEMA_POLL_SECONDS = 2.0


def wait_for_schema(
    pending: Callable[[], str | None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until `pending` returns None instead of a reason. Exits with the last reason after SCHEMA_WAIT_SECONDS."""
    deadline = clock() + SCHEMA_WAIT_SECONDS
    told = ""
    while reason := pending():
        if clock() >= deadline:
            sys.exit(f"{reason} after {SCHEMA_WAIT_SECONDS:.0f} s.")
        if reason != told:
            print(f"{reason}; waiting up to {SCHEMA_WAIT_SECONDS:.0f} s", flush=True)
            told = reason
        sleep(SCHEMA_POLL_SECONDS)


def pending_migration() -> str | None:
    """Return why this process cannot serve yet, or None."""
    import psycopg  # type: ignore[import-not-found,unused-ignore]
    import schema

    newest, known = schema.wanted()
    address = settings.database(os.environ, "DATABASE_URL")
    try:
        with psycopg.connect(address, connect_timeout=10) as connection:
            revision = schema.present(connection)
    except psycopg.OperationalError as error:
        return f"the database does not answer: {str(error).strip().splitlines()[-1]}"
    if not schema.is_behind(revision, newest, known):
        return None
    seen = f"the database's schema is {revision or 'empty'}, this Open WebUI needs {newest}"
    return f"{seen}: run `ollama-gpu-open-webui migrate` on one host"


def main() -> None:
    """Run the server until it ends."""
    # The kernel ignores unhandled signals for a container's first process. Later, uvicorn handles this signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings.load()
    settings.required(os.environ, "WEBUI_SECRET_KEY", "DATABASE_URL")
    os.environ["ENABLE_DB_MIGRATIONS"] = "false"
    sys.path.insert(0, str(Path.cwd()))  # the official image has the package in its working directory
    wait_for_schema(pending_migration)
    gc.set_threshold(*GC_THRESHOLDS)

    import uvicorn

    uvicorn.run(
        "open_webui.main:app",
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        forwarded_allow_ips="127.0.0.1",  # the gateway
        timeout_graceful_shutdown=int(os.environ["STOP_SECONDS"]),
    )


if __name__ == "__main__":
    main()
