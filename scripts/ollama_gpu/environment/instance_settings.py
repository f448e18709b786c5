"""The value of Terraform's variable `instance`: additional settings in the description that every instance reads.

It has the environment's role variables, so that a boot configures a host as the bake did. For ENV=local it also has the
endpoint of the embedded AWS, once a deploy with the lab has stored it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ollama_gpu.core import files
from ollama_gpu.core.paths import Paths, make_folder
from ollama_gpu.environment import role_variables
from ollama_gpu.environment.settings import Environment


def of(paths: Paths, environment: Environment) -> dict[str, Any] | None:
    """The value for an environment, or None if it has no additional settings."""
    if environment.embedded:
        file = _file(paths, environment)
        found: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        return found
    variables = role_variables.read(paths, environment)
    return {"variables": variables} if variables else None


def keep(paths: Paths, environment: Environment, settings: dict[str, Any] | None) -> None:
    """Store the settings that ENV=local's lab provides, for later plans. None deletes them: plans are without a lab."""
    file = _file(paths, environment)
    if settings is None:
        file.unlink(missing_ok=True)
        return
    make_folder(file.parent)
    files.replace(file, json.dumps(settings))


def _file(paths: Paths, environment: Environment) -> Path:
    return paths.environment(environment.name) / "instance.json"
