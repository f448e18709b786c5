"""What Terraform writes into every instance's description besides the fabric's own: Terraform's variable `instance`.

The roles' variables of the environment, so that a boot configures a host as the bake did; for ENV=local also where its
AWS answers, once a deploy with the lab has said so.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ollama_gpu import role_variables
from ollama_gpu.environments import Environment
from ollama_gpu.paths import Paths, make_folder


def of(paths: Paths, environment: Environment) -> dict[str, Any] | None:
    """The value for an environment; None when there is nothing to say."""
    if environment.embedded:
        file = _file(paths, environment)
        found: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        return found
    variables = role_variables.read(paths, environment)
    return {"variables": variables} if variables else None


def keep(paths: Paths, environment: Environment, settings: dict[str, Any] | None) -> None:
    """Keep what the lab of ENV=local says for later plans; None forgets it: the fabric stands alone."""
    file = _file(paths, environment)
    if settings is None:
        file.unlink(missing_ok=True)
        return
    make_folder(file.parent)
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(settings), encoding="utf-8")
    partial.replace(file)


def _file(paths: Paths, environment: Environment) -> Path:
    return paths.environment(environment.name) / "instance.json"
