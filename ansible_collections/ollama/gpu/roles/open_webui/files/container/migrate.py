"""Migrate the database to this Open WebUI's schema and create the first administrator. One host at a time.

Exits with status 3 if Open WebUI's role, its database or the extension is missing: creating them needs other rights.
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

NOT_MADE = 3  # exit status that the role open_webui handles
# A failover of RDS takes one to two minutes without an answer.
CONNECT_SECONDS = 180.0
CONNECT_POLL_SECONDS = 3.0
# libpq reports no SQLSTATE for a refused connection, only the server's message.
_NOT_MADE = re.compile(r'password authentication failed|(?:database|role) "[^"]*" does not exist')


class NotMade(Exception):
    """Open WebUI's role, database or extension is missing. The message says which."""


def connect(
    open_connection: Callable[[], Any],
    failure: type[Exception],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Any:
    """Connect as Open WebUI's own role. Raises NotMade, or exits if no server answers within CONNECT_SECONDS."""
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
                sys.exit(f"not migrated: the database did not answer for {CONNECT_SECONDS:.0f} s: {cause}")
            if not told:
                print(f"waiting up to {CONNECT_SECONDS:.0f} s: {cause}", flush=True)
                told = True
        sleep(CONNECT_POLL_SECONDS)


def require_made(connection: Any, vector_store: str) -> None:
    """Raise NotMade unless this role can create tables and, for pgvector, the extension exists."""
    if not connection.execute("select has_schema_privilege('public', 'create')").fetchone()[0]:
        raise NotMade("the role cannot create tables in this database")
    extension = connection.execute("select 1 from pg_extension where extname = 'vector'").fetchone()
    if vector_store == "pgvector" and not extension:
        raise NotMade("the database does not have the extension vector")


def migrate(connection: Any) -> bool:
    """Run Open WebUI's own migrations if any are pending."""
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
        sys.exit(f"the schema changed from {before or 'empty'} to {after}, not to {newest}. Read the lines above.")
    print(f"changed: migrated the schema from {before or 'empty'} to {after}")
    return True


def make_administrator(connection: Any) -> bool:
    """Create the first account from WEBUI_ADMIN_EMAIL and WEBUI_ADMIN_PASSWORD, because sign-up is closed."""
    email, password = os.environ.get("WEBUI_ADMIN_EMAIL", ""), os.environ.get("WEBUI_ADMIN_PASSWORD", "")
    if connection.execute('select exists (select 1 from "user")').fetchone()[0]:
        return False
    if not (email and password):
        print("no account exists and no administrator was given: no one can sign in")
        return False
    from open_webui.utils.auth import create_admin_user  # type: ignore[import-not-found,unused-ignore]

    # create_admin_user logs an error and returns None instead of raising
    if asyncio.run(create_admin_user(email, password, os.environ.get("WEBUI_ADMIN_NAME", "Administrator"))) is None:
        sys.exit(f"the administrator {email} could not be created. Read the lines above.")
    print(f"changed: created the administrator {email}")
    return True


def main() -> None:
    """Print a line that begins with `changed:` for each change."""
    settings.load()
    settings.required(os.environ, "DATABASE_URL", "WEBUI_SECRET_KEY")
    # before any import of Open WebUI; the revisions import it too
    os.environ["ENABLE_DB_MIGRATIONS"] = "true"
    sys.path.insert(0, str(Path.cwd()))  # the official image has the package in its working directory
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
        print(f"the database is not ready: {error}. Run `ollama-gpu-open-webui database` first.", file=sys.stderr)
        sys.exit(NOT_MADE)
    except Exception as error:  # print a message for any error, not a traceback
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}"
        sys.exit(f"not migrated: {cause}. The schema is still at the revision before the failed one.")


if __name__ == "__main__":
    main()
