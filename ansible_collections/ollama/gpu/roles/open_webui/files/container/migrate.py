"""Brings the database to this Open WebUI's schema and makes the first administrator; one host at a time.

Ends with status 3 when Open WebUI's role, its database or the extension is missing: making them takes other rights.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import advisory_lock
import schema
import settings

NOT_MADE = 3  # exit status; the role open_webui knows it
# A failover of RDS takes one to two minutes, in which nothing answers.
CONNECT_SECONDS = 180.0
CONNECT_POLL_SECONDS = 3.0
# libpq gives a refused connection no SQLSTATE, only the server's words.
_NOT_MADE = re.compile(r'password authentication failed|(?:database|role) "[^"]*" does not exist')


class NotMade(Exception):
    """What Open WebUI's own role lacks, in words."""


def connect(
    open_connection: Callable[[], Any],
    failure: type[Exception],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Any:
    """A connection as Open WebUI's own role. Raises NotMade; exits when no server has answered in CONNECT_SECONDS."""
    deadline = clock() + CONNECT_SECONDS
    told = False
    while True:
        try:
            return open_connection()
        except failure as error:
            cause = " ".join(str(error).split())
            if _NOT_MADE.search(cause):
                raise NotMade(cause) from error
            if clock() >= deadline:
                sys.exit(f"not migrated: the database has not answered for {CONNECT_SECONDS:.0f} s: {cause}")
            if not told:
                print(f"waiting up to {CONNECT_SECONDS:.0f} s: {cause}", flush=True)
                told = True
        sleep(CONNECT_POLL_SECONDS)


def require_made(connection: Any, vector_store: str) -> None:
    """Raises NotMade unless this role may make tables here and, for pgvector, the extension is there."""
    if not connection.execute("select has_schema_privilege('public', 'create')").fetchone()[0]:
        raise NotMade("the role may make no tables in this database")
    extension = connection.execute("select 1 from pg_extension where extname = 'vector'").fetchone()
    if vector_store == "pgvector" and not extension:
        raise NotMade("the database lacks the extension vector")


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

    address = settings.database(os.environ, "DATABASE_URL")
    try:
        with connect(
            lambda: psycopg.connect(address, autocommit=True, connect_timeout=10), psycopg.OperationalError
        ) as connection:
            advisory_lock.take(connection, "migrates")
            require_made(connection, os.environ.get("VECTOR_DB", ""))
            migrate(connection)
            make_administrator(connection)
    except NotMade as error:
        print(f"the database is not made: {error}. `ollama-gpu-open-webui database` makes it.", file=sys.stderr)
        sys.exit(NOT_MADE)
    except Exception as error:  # whatever it is, the operator needs a sentence
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        sys.exit(f"not migrated: {cause}. The schema before the failing revision stands.")


if __name__ == "__main__":
    main()
