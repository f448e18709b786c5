"""The command `ollama-gpu rollout`: parse, call, print. No logic."""

from __future__ import annotations

import typer

from ollama_gpu.options import Env, Json
from ollama_gpu.releases_commands import refuse_before

rollout = typer.Typer(help="What brings a new version to running instances.", rich_markup_mode=None)


@rollout.callback(invoke_without_command=True)
def show(context: typer.Context, env: Env = "local", json: Json = False) -> None:
    """Per fleet: the newest version, what the instances run, and the last rollout."""
    if context.invoked_subcommand is None:
        status(env, json)
    else:
        refuse_before(context)


@rollout.command()
def status(env: Env = "local", json: Json = False) -> None:
    """Per fleet: the newest version, what the instances run, and the last rollout."""
    from ollama_gpu import rollout as steps
    from ollama_gpu.console import print_values
    from ollama_gpu.deployed import deployed

    print_values(f"ENV={env}: rollout", ("what", "seen"), steps.describe(*deployed(env)), json)


@rollout.command()
def follow(env: Env = "local") -> None:
    """Follow a rollout that goes on to its end, and finish what its deploy left."""
    from ollama_gpu import deploy
    from ollama_gpu.deployed import deployed
    from ollama_gpu.progress import view_of_this_run

    deploy.resume(*deployed(env), view_of_this_run())


@rollout.command()
def cancel(env: Env = "local") -> None:
    """Take back a rollout that goes on: the instances return to the version before."""
    from ollama_gpu import deploy
    from ollama_gpu.deployed import deployed
    from ollama_gpu.progress import view_of_this_run

    deploy.take_back(*deployed(env), view_of_this_run())
