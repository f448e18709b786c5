"""The command `ollama-gpu models`: parse, call, print. No logic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

models = typer.Typer(
    help="The models that an environment's instances serve.", no_args_is_help=True, rich_markup_mode=None
)

Env = Annotated[str, typer.Option("--env", help="Environment: local, dev, staging, prod or your own.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@models.command()
def publish(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME[@DIGEST]...", help="All models of the environment, as Ollama names them."),
    ],
    env: Env = "local",
    store: Annotated[
        Path | None, typer.Option(help="Ollama's folder of models. Default: OLLAMA_MODELS, or ~/.ollama/models.")
    ] = None,
) -> None:
    """Copy models to the artifact bucket and make them the environment's; instances take them when they boot."""
    from ollama_gpu import models as steps
    from ollama_gpu.console import note
    from ollama_gpu.context import open_context

    context = open_context(env)
    wanted = [steps.parse(name) for name in names]
    changed = steps.publish(context.environment, context.contract, context.aws, store, wanted)
    note(f"ENV={env}: {len(wanted)} models are published." if changed else f"ENV={env}: the models were these already.")


@models.command(name="list")
def show(env: Env = "local", json: Json = False) -> None:
    """The models that the environment's instances serve, by name and digest."""
    from dataclasses import asdict

    from ollama_gpu import models as steps
    from ollama_gpu.console import print_json, print_table
    from ollama_gpu.context import open_context

    context = open_context(env)
    found = steps.published(context.environment, context.contract, context.aws) or []
    if json:
        print_json([asdict(model) for model in found])
    else:
        print_table(f"ENV={env}: models", ("name", "digest"), [(model.name, model.digest) for model in found])
