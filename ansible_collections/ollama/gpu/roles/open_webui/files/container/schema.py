"""Read the schema revisions of the database and of this Open WebUI."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any


def package_folder() -> Path:
    """Return Open WebUI's folder without importing it, because the import takes seconds and may migrate."""
    spec = importlib.util.find_spec("open_webui")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("this image does not contain Open WebUI: check open_webui_image")
    return Path(next(iter(spec.submodule_search_locations)))


def wanted() -> tuple[str, set[str]]:
    """Return the newest revision of this Open WebUI, and all its revisions.

    Parses the revisions' source: Alembic would import each revision and with it Open WebUI, which takes seconds.
    """
    return newest(revisions(package_folder() / "migrations" / "versions"))


def revisions(folder: Path) -> dict[str, set[str]]:
    """Return the revisions that Alembic's scripts in a folder define, each with its predecessors."""
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
    """Return the revision without a successor, and all revisions. Raises RuntimeError unless there is exactly one."""
    last = set(found).difference(*found.values())
    if len(last) != 1:
        seen = ", ".join(sorted(last)) or "none"
        raise RuntimeError(f"this image's Open WebUI has no single newest schema ({seen}): check open_webui_image")
    return last.pop(), set(found)


def present(connection: Any) -> str | None:
    """Return the database's revision, or None if it has no schema."""
    if connection.execute("select to_regclass('alembic_version')").fetchone()[0] is None:
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else None


def is_behind(revision: str | None, newest: str, known: set[str]) -> bool:
    """Return whether a migration is pending. An unknown revision is from a newer version: nothing to migrate."""
    return revision is None or (revision != newest and revision in known)
