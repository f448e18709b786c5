"""Slots, context and KV cache of an environment's Ollamas, from the roles' variables."""

from __future__ import annotations

from ollama_gpu.core import collection
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment import role_variables
from ollama_gpu.environment.settings import Environment
from ollama_gpu.models.memory import KV_CACHE_BYTES, Serving


def read(paths: Paths, environment: Environment) -> Serving:
    """Read the settings: the role's defaults, overridden by the environment's values.

    Raises UserError for an invalid value.
    """
    defaults = collection.role(paths.repository, "ollama") / "defaults" / "main.yml"
    values = role_variables.load(defaults) | role_variables.read(paths, environment)
    try:
        slots, context = int(values["ollama_num_parallel"]), int(values["ollama_context_length"])
        if slots < 1 or context < 1 or values["ollama_kv_cache_type"] not in KV_CACHE_BYTES:
            raise ValueError(f"{slots} slots, {context} tokens, {values['ollama_kv_cache_type']}")
    except (TypeError, ValueError) as error:
        raise UserError(
            "ollama_num_parallel, ollama_context_length or ollama_kv_cache_type of "
            f"ENV={environment.name} is not a valid setting of Ollama: {error}.",
            f"Correct it in inventories/{environment.name}/group_vars/all.yml.",
            status=2,
        ) from error
    return Serving(slots, context, values["ollama_kv_cache_type"])
