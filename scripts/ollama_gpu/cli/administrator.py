"""The verb `administrator`."""

from __future__ import annotations

from ollama_gpu.cli.options import Env, Json


def administrator(env: Env = "local", json: Json = False) -> None:
    """Print the first administrator's credentials. Reads them from Secrets Manager."""
    from ollama_gpu.core.console import print_values
    from ollama_gpu.environment import secrets
    from ollama_gpu.environment.context import open_context

    context = open_context(env)
    found = secrets.administrator(context)
    print_values(f"ENV={env}", ("field", "value"), found, json)
