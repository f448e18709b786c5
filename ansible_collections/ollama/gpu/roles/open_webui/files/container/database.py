"""Create Open WebUI's role, its database and the extension vector if they are missing. One host at a time."""

from __future__ import annotations

import os
import sys
from typing import Any

import advisory_lock
import settings


def make_role(master: Any, sql: Any, user: str, verifier: str, password_works: bool) -> bool:
    """Create the role, or set its password. Sends a verifier, because the server logs statements."""
    exists = master.execute("select 1 from pg_roles where rolname = %s", (user,)).fetchone()
    if exists and password_works:
        return False
    verb = "alter" if exists else "create"
    statement = "{verb} role {user} login password {verifier}"
    master.execute(
        sql.SQL(statement).format(verb=sql.SQL(verb), user=sql.Identifier(user), verifier=sql.Literal(verifier))
    )
    print(
        f"changed: {'gave the role' if exists else 'made the role'} {user} {'its password' if exists else ''}".rstrip()
    )
    return True


def make_database(master: Any, sql: Any, user: str, name: str) -> bool:
    """Create the database, or make the role its owner: an owner can create tables in its schema public."""
    owner = master.execute("select pg_get_userbyid(datdba) from pg_database where datname = %s", (name,)).fetchone()
    if owner and owner[0] == user:
        return False
    # RDS's master is not a superuser: it must be a member of a role to make the role an owner.
    master.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(user)))
    statement = "alter database {name} owner to {user}" if owner else "create database {name} owner {user}"
    master.execute(sql.SQL(statement).format(name=sql.Identifier(name), user=sql.Identifier(user)))
    print(f"changed: {'gave' if owner else 'made'} the database {name} {'to' if owner else 'for'} {user}")
    return True


def make_extension(master: Any) -> bool:
    """Create the extension vector in this connection's database. This needs the master's rights."""
    if master.execute("select 1 from pg_extension where extname = 'vector'").fetchone():
        return False
    master.execute("create extension vector")
    print("changed: made the extension vector")
    return True


def main() -> None:
    """Print a line that begins with `changed:` for each change."""
    settings.load()
    settings.required(os.environ, "DATABASE_URL", "MASTER_DATABASE_URL")
    import psycopg  # type: ignore[import-not-found,unused-ignore]
    from psycopg import conninfo, sql  # type: ignore[import-not-found,unused-ignore]

    address = settings.database(os.environ, "DATABASE_URL")
    target = conninfo.conninfo_to_dict(address)
    user, name = str(target["user"]), str(target["dbname"])
    master_address = settings.database(os.environ, "MASTER_DATABASE_URL")

    def password_works() -> bool:
        try:
            psycopg.connect(address, connect_timeout=10).close()
        except psycopg.OperationalError as error:
            return "password authentication failed" not in str(error)
        return True

    try:
        with psycopg.connect(master_address, autocommit=True, connect_timeout=10) as master:
            advisory_lock.take(master, "makes the database")  # before the first query: another host could change it
            verifier = master.pgconn.encrypt_password(
                str(target["password"]).encode(), user.encode(), b"scram-sha-256"
            ).decode()
            changed = make_role(master, sql, user, verifier, password_works())
            changed |= make_database(master, sql, user, name)
            inside = conninfo.make_conninfo(master_address, dbname=name)
            with psycopg.connect(inside, autocommit=True, connect_timeout=10) as master_inside:
                changed |= make_extension(master_inside)
    except psycopg.Error as error:
        sys.exit(f"the database for Open WebUI cannot be created: {' '.join(str(error).split())}")
    if not changed:
        print(f"unchanged: {user} owns {name}, with the extension vector")


if __name__ == "__main__":
    main()
