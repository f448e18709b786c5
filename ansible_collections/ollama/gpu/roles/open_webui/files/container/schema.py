"""Which revision the database's schema has, and which one this Open WebUI brings."""

from __future__ import annotations

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
    """The newest revision that this Open WebUI knows, and all that it knows."""
    from alembic.script import ScriptDirectory  # type: ignore[import-not-found,unused-ignore]

    scripts = ScriptDirectory(str(package_folder() / "migrations"))
    return str(scripts.get_current_head()), {str(script.revision) for script in scripts.walk_revisions()}


def present(connection: Any) -> str | None:
    """The database's revision; None while it has no schema."""
    if connection.execute("select to_regclass('alembic_version')").fetchone()[0] is None:
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    return str(row[0]) if row else None


def is_behind(revision: str | None, newest: str, known: set[str]) -> bool:
    """True when a migration is due. A revision that this version does not know is a newer one's: nothing to migrate."""
    return revision is None or (revision != newest and revision in known)
