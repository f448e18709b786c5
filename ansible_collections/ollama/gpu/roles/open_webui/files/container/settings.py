"""Settings inside the container: secrets come from files, so that `docker inspect` and process lists show none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, MutableMapping
from pathlib import Path

SECRETS = Path("/run/secrets")


def parse(lines: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE a line, taken literally: a password may hold quotes or dollar signs. Its ValueError quotes no line."""
    found = {}
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\n")
        if not text or text.startswith("#"):
            continue
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"line {number} is not KEY=VALUE")
        found[key] = value
    return found


def load(environment: MutableMapping[str, str] | None = None, folder: Path = SECRETS) -> None:
    """Adds what the mounted files hold to this process's environment; /proc/1/environ does not show it."""
    environment = os.environ if environment is None else environment
    for file in sorted(folder.glob("*.env")):
        try:
            with file.open(encoding="utf-8") as lines:
                environment.update(parse(lines))
        except (OSError, ValueError) as error:
            sys.exit(f"{file}: {error}. Run the role open_webui again, which writes it.")


def required(environment: MutableMapping[str, str], *names: str) -> None:
    """Exits with a sentence when one of these settings is missing or empty."""
    missing = [name for name in names if not environment.get(name)]
    if missing:
        sys.exit(f"{' and '.join(missing)} not set. Give the role open_webui its secrets, then start this again.")


def database(environment: MutableMapping[str, str], name: str) -> str:
    """The database's address in this setting. Exits when it is none; the driver's own words would quote a password."""
    import psycopg  # type: ignore[import-not-found,unused-ignore]
    from psycopg import conninfo  # type: ignore[import-not-found,unused-ignore]

    address = libpq(environment[name])
    try:
        conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        sys.exit(f"{name} is no address of a database. Correct it: postgresql://USER:PASSWORD@HOST:PORT/NAME, encoded.")
    return address


def libpq(url: str) -> str:
    """The address as PostgreSQL's own library reads it: without SQLAlchemy's driver, as in postgresql+psycopg://."""
    scheme, separator, rest = url.partition("://")
    return scheme.partition("+")[0] + separator + rest
