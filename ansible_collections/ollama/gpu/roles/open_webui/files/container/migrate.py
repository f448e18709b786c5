"""Brings the database to this Open WebUI's schema and makes the first administrator; one host at a time."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import schema
import settings

LOCK = 0x6F6C6C616D61  # "ollama"; any number that every host agrees on
LOCK_WAIT = "20min"


def take_lock(connection: Any) -> None:
    """Holds PostgreSQL's advisory lock until the connection ends, also when it ends by a crash."""
    connection.execute(f"set lock_timeout = '{LOCK_WAIT}'")
    if not connection.execute("select pg_try_advisory_lock(%s)", (LOCK,)).fetchone()[0]:
        print("waiting: another host is migrating", flush=True)
        connection.execute("select pg_advisory_lock(%s)", (LOCK,))


def migrate(connection: Any) -> bool:
    """Runs Open WebUI's own migrations when they are due."""
    newest, known = schema.wanted()
    before = schema.present(connection)
    if not schema.is_behind(before, newest, known):
        print(
            f"unchanged: the schema is at {before}"
            + ("" if before == newest else f", which is newer than this image's {newest}")
        )
        return False
    import open_webui.config  # type: ignore[import-not-found,unused-ignore]  # noqa: F401  migrates on import

    after = schema.present(connection)
    if after != newest:
        sys.exit(f"the schema went from {before or 'empty'} to {after}, not to {newest}. Read the lines above.")
    print(f"changed: the schema went from {before or 'empty'} to {after}")
    return True


def make_administrator(connection: Any) -> bool:
    """Makes the first account from WEBUI_ADMIN_EMAIL and WEBUI_ADMIN_PASSWORD; sign-up is closed: nobody else could."""
    email, password = os.environ.get("WEBUI_ADMIN_EMAIL", ""), os.environ.get("WEBUI_ADMIN_PASSWORD", "")
    if connection.execute('select exists (select 1 from "user")').fetchone()[0]:
        return False
    if not (email and password):
        print("no account exists and no administrator was given: nobody can sign in")
        return False
    from open_webui.utils.auth import create_admin_user  # type: ignore[import-not-found,unused-ignore]

    # It logs an error and answers None where others raise.
    if asyncio.run(create_admin_user(email, password, os.environ.get("WEBUI_ADMIN_NAME", "Administrator"))) is None:
        sys.exit(f"the administrator {email} could not be made. Read the lines above.")
    print(f"changed: made the administrator {email}")
    return True


def main() -> None:
    """Prints a line that begins with `changed:` for each thing that it did."""
    settings.load()
    settings.required(os.environ, "DATABASE_URL", "WEBUI_SECRET_KEY")
    # before anything of Open WebUI is imported, as the revisions themselves do
    os.environ["ENABLE_DB_MIGRATIONS"] = "true"
    sys.path.insert(0, str(Path.cwd()))  # the official image keeps the package in its working directory
    import psycopg  # type: ignore[import-not-found,unused-ignore]

    try:
        connection = psycopg.connect(settings.libpq(os.environ["DATABASE_URL"]), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        sys.exit(
            f"nothing was changed: {str(error).strip()}. `ollama-gpu-open-webui database` makes role and database."
        )
    try:
        with connection:
            take_lock(connection)
            migrate(connection)
            make_administrator(connection)
    except Exception as error:  # whatever it is, the operator needs a sentence
        cause = f"{type(error).__name__}: {str(error).strip()}"
        sys.exit(f"not migrated: {cause}. The schema before the failing revision stands.")


if __name__ == "__main__":
    main()
