"""Which revision the database's schema has, and which one this Open WebUI brings."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any


def package_folder() -> Path:
    """Where Open WebUI is installed; found without importing it, which takes seconds and may migrate."""
    spec = importlib.util.find_spec("open_webui")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("this image holds no Open WebUI: check open_webui_image")
    return Path(next(iter(spec.submodule_search_locations)))


def wanted() -> tuple[str, set[str]]:
    """The newest revision that this Open WebUI knows, and all that it knows.

    Read from the revisions' text: Alembic imports each to say the same, and with them Open WebUI, which takes seconds.
    """
    return newest(revisions(package_folder() / "migrations" / "versions"))


def revisions(folder: Path) -> dict[str, set[str]]:
    """Each revision that Alembic's scripts in a folder define, and those that it follows."""
    found = {}
    for script in folder.glob("*.py"):
        values: dict[str, Any] = {}
        for statement in ast.parse(script.read_text(encoding="utf-8")).body:
            if isinstance(statement, ast.Assign):
                targets = statement.targets
            elif isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            else:
                continue
            for target in targets:
                if isinstance(target, ast.Name) and target.id in ("revision", "down_revision"):
                    values[target.id] = ast.literal_eval(statement.value) if statement.value else None
        if "revision" in values:
            before = values.get("down_revision") or ()
            found[str(values["revision"])] = {before} if isinstance(before, str) else set(before)
    return found


def newest(found: dict[str, set[str]]) -> tuple[str, set[str]]:
    """The one revision that no other follows, and all of them. Raises RuntimeError unless there is exactly one."""
    last = set(found).difference(*found.values())
    if len(last) != 1:
        seen = ", ".join(sorted(last)) or "none"
        raise RuntimeError(f"this image's Open WebUI has no single newest schema, but {seen}: check open_webui_image")
    return last.pop(), set(found)


def present(connection: Any) -> str | None:
    """The database's revision; None while it has no schema."""
    if connection.execute("select to_regclass('alembic_version')").fetchone()[0] is None:
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else None


def is_behind(revision: str | None, newest: str, known: set[str]) -> bool:
    """True when a migration is due. A revision that this version does not know is a newer one's: nothing to migrate."""
    return revision is None or (revision != newest and revision in known)
