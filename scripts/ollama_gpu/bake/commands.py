"""The command `ollama-gpu bake`: parse, call, print. No logic."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.options import Env, Json


def bake(
    env: Env = "local",
    force: Annotated[bool, typer.Option("--force", help="Build although an image of the same content exists.")] = False,
    extra: Annotated[
        list[str] | None,
        typer.Option("--extra-vars", "-e", metavar="NAME=VALUE", help="A variable of the play or of a role."),
    ] = None,
    json: Json = False,
) -> None:
    """Make the machine image and publish it; nothing to do when its content is unchanged."""
    from ollama_gpu.bake import command
    from ollama_gpu.console import print_values
    from ollama_gpu.context import open_context

    made = command.run(open_context(env, start_embedded=True), command.Asked(force, tuple(extra or ())))
    print_values(f"ENV={env}", ("output", "value"), made, json)
