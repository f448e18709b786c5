"""The roles' variables of an environment: a bake and every boot of its instances take the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.lab import places
from ollama_gpu.paths import Paths


def files(paths: Paths, environment: Environment) -> list[Path]:
    """Variables files, of which a later one wins; for ENV=local what the lab serves first, as the rest refers to it."""
    own = paths.repository / "inventories" / environment.name / "group_vars" / "all.yml"
    handover = places.locate(paths).handover
    return [path for path in ([handover, own] if environment.embedded else [own]) if path.is_file()]


def read(paths: Paths, environment: Environment) -> dict[str, Any]:
    """All of them, as they are written: templates stay templates."""
    merged: dict[str, Any] = {}
    for path in files(paths, environment):
        merged |= load(path) or {}
    return merged


def load(path: Path) -> Any:
    """A YAML file's value. Raises UserError when it cannot be read; parsed, so that a comment changes no key."""
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {error}", "Correct it there.", status=2) from error
