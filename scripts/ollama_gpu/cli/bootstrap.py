"""The verb `bootstrap`."""

from __future__ import annotations

from ollama_gpu.cli.options import Env, Json


def bootstrap(env: Env = "local", json: Json = False) -> None:
    """Prepare an AWS account and region. Creates the state bucket, the artifact bucket and the image role, once."""
    from ollama_gpu.core.console import print_values
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.fabric import bootstrap as steps
    from ollama_gpu.terraform.progress import view_of_this_run

    created = steps.run(open_context(env, start_embedded=True), view_of_this_run())
    print_values("bootstrap", ("output", "value"), created, json)
