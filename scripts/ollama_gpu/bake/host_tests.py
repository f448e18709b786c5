"""Select the tests of `tests/host` that a bake runs: those of its roles, and of the roles that these include whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

_ROLES_MODULES = {f"{prefix}{name}" for prefix in ("", "ansible.builtin.") for name in ("import_role", "include_role")}


def select(collection: Path, tests: Path, roles: Sequence[str]) -> list[Path]:
    """``test_<role>.py`` and ``test_<role>_*.py`` of each role (`ollama.gpu.<role>`), in the order of ``roles``."""
    files: dict[Path, None] = {}
    for role in _with_included_roles(collection, roles):
        files |= dict.fromkeys(sorted([*tests.glob(f"test_{role}.py"), *tests.glob(f"test_{role}_*.py")]))
    return list(files)


def _with_included_roles(collection: Path, roles: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    waiting = [role.rpartition(".")[2] for role in roles]
    while waiting:
        role = waiting.pop(0)
        if role in seen:
            continue
        seen.add(role)
        yield role
        for file in sorted((collection / "roles" / role / "tasks").glob("*.yml")):
            waiting += _included_whole(yaml.safe_load(file.read_text(encoding="utf-8")) or [])


def _included_whole(tasks: Sequence[Any]) -> Iterator[str]:
    """The roles that tasks include or import whole. A role used only through `tasks_from` is not tested."""
    for task in tasks:
        for key, value in task.items():
            if key in ("block", "rescue", "always"):
                yield from _included_whole(value)
            elif key in _ROLES_MODULES and "tasks_from" not in value and "{" not in value["name"]:
                yield value["name"].rpartition(".")[2]
