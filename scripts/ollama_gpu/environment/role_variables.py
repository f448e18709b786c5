"""Read the role variables of an environment. A bake and every boot of its instances use the same variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment.settings import Environment


def files(paths: Paths, environment: Environment) -> list[Path]:
    """The variables files; a later file overrides an earlier one.

    For ENV=local, the file of what the lab serves comes first, because the environment's file refers to it.
    """
    own = paths.repository / "inventories" / environment.name / "group_vars" / "all.yml"
    candidates = [paths.lab_variables, own] if environment.embedded else [own]
    return [path for path in candidates if path.is_file()]


def read(paths: Paths, environment: Environment) -> dict[str, Any]:
    """The merged variables as written: Jinja templates are not evaluated."""
    merged: dict[str, Any] = {}
    for path in files(paths, environment):
        merged |= load(path) or {}
    return merged


def load(path: Path) -> Any:
    """Parse a YAML file. Raises UserError when it cannot be read.

    An image's key is computed from the parsed value, so that a comment does not change the key.
    """
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {error}", "Fix this file.", status=2) from error
