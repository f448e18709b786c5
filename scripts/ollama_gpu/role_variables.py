"""The roles' variables of an environment: a bake and every boot of its instances take the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ollama_gpu import collection
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.lab import places
from ollama_gpu.model_memory import KV_CACHE_BYTES, Serving
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


def serving(paths: Paths, environment: Environment) -> Serving:
    """How the environment's Ollamas serve: the role's defaults, and the environment's own values over them.

    Raises UserError for a value that is none.
    """
    defaults = collection.role(paths.repository, "ollama") / "defaults" / "main.yml"
    values = load(defaults) | read(paths, environment)
    try:
        slots, context = int(values["ollama_num_parallel"]), int(values["ollama_context_length"])
        if slots < 1 or context < 1 or values["ollama_kv_cache_type"] not in KV_CACHE_BYTES:
            raise ValueError(f"{slots} slots, {context} tokens, {values['ollama_kv_cache_type']}")
    except (TypeError, ValueError) as error:
        raise UserError(
            "ollama_num_parallel, ollama_context_length or ollama_kv_cache_type of "
            f"ENV={environment.name} is not what Ollama takes: {error}.",
            f"Correct it in inventories/{environment.name}/group_vars/all.yml.",
            status=2,
        ) from error
    return Serving(slots, context, values["ollama_kv_cache_type"])


def load(path: Path) -> Any:
    """A YAML file's value. Raises UserError when it cannot be read; parsed, so that a comment changes no key."""
    try:
        return yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {error}", "Correct it there.", status=2) from error
