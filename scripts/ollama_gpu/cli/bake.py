"""The verb `bake`."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.cli.options import Env, Json


def bake(
    env: Env = "local",
    force: Annotated[bool, typer.Option("--force", help="Build even if the content is unchanged.")] = False,
    extra: Annotated[
        list[str] | None,
        typer.Option(
            "--extra-vars", "-e", metavar="NAME=VALUE", help="A variable of the play or of a role. Repeatable."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Build the machine image and publish it. Does nothing if its content is unchanged."""
    from ollama_gpu.bake import command
    from ollama_gpu.core.console import elapsed_lines, print_values
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.terraform.progress import view_of_this_run

    options = command.Options(force, tuple(extra or ()))
    with elapsed_lines():
        built = command.run(open_context(env, start_embedded=True), options, view_of_this_run())
    print_values(f"ENV={env}", ("output", "value"), built, json)
