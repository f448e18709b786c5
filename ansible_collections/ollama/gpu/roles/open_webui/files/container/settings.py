"""Load settings inside the container. Secrets are in files, so that `docker inspect` and process lists show none."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, MutableMapping
from pathlib import Path

SECRETS = Path("/run/secrets")


def parse(lines: Iterable[str]) -> dict[str, str]:
    """Parse lines of KEY=VALUE literally: passwords can have quotes or dollar signs. A ValueError quotes no line."""
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
    """Add the mounted files' settings to this process's environment. They do not appear in /proc/1/environ."""
    environment = os.environ if environment is None else environment
    for file in sorted(folder.glob("*.env")):
        try:
            with file.open(encoding="utf-8") as lines:
                environment.update(parse(lines))
        except (OSError, ValueError) as error:
            sys.exit(f"{file}: {error}. Run the role open_webui again to rewrite it.")


def required(environment: MutableMapping[str, str], *names: str) -> None:
    """Exit with a message if one of these settings is missing or empty."""
    missing = [name for name in names if not environment.get(name)]
    if missing:
        sys.exit(f"{' and '.join(missing)} not set. Set the secrets of the role open_webui, then start this again.")


def database(environment: MutableMapping[str, str], name: str) -> str:
    """Return the database's address in this setting. Exits if it is invalid: the driver's error has the password."""
    import psycopg  # type: ignore[import-not-found,unused-ignore]
    from psycopg import conninfo  # type: ignore[import-not-found,unused-ignore]

    address = libpq(environment[name])
    try:
        conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError:
        sys.exit(f"{name} is not a valid database address. Use postgresql://USER:PASSWORD@HOST:PORT/NAME, URL-encoded.")
    return address


def libpq(url: str) -> str:
    """Return the address for libpq: without SQLAlchemy's driver, as in postgresql+psycopg://."""
    scheme, separator, rest = url.partition("://")
    return scheme.partition("+")[0] + separator + rest
