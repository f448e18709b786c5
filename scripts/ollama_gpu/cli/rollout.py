"""The verb `rollout`."""

from __future__ import annotations

import typer

from ollama_gpu.cli.options import Env, Json
from ollama_gpu.cli.releases import require_env_after_subcommand

rollout = typer.Typer(help="Show, follow or roll back the rollout of a new version.", rich_markup_mode=None)


@rollout.callback(invoke_without_command=True)
def show(context: typer.Context, env: Env = "local", json: Json = False) -> None:
    """Show each fleet's newest version, the versions its instances run, and its last rollout."""
    if context.invoked_subcommand is None:
        status(env, json)
    else:
        require_env_after_subcommand(context)


@rollout.command()
def status(env: Env = "local", json: Json = False) -> None:
    """Show each fleet's newest version, the versions its instances run, and its last rollout."""
    from ollama_gpu import rollout as steps
    from ollama_gpu.cli.deployed import deployed
    from ollama_gpu.core.console import print_values

    print_values(f"ENV={env}: rollout", ("field", "value"), steps.describe(*deployed(env)), json)


@rollout.command()
def follow(env: Env = "local") -> None:
    """Follow the running rollout until it ends, then finish its deploy."""
    from ollama_gpu.cli.deployed import deployed
    from ollama_gpu.deploy import steps as deploy
    from ollama_gpu.terraform.progress import view_of_this_run

    deploy.resume_rollout(*deployed(env), view_of_this_run())


@rollout.command()
def cancel(env: Env = "local") -> None:
    """Roll back the running rollout. Instances return to the previous version."""
    from ollama_gpu.cli.deployed import deployed
    from ollama_gpu.deploy import steps as deploy
    from ollama_gpu.terraform.progress import view_of_this_run

    deploy.cancel_rollout(*deployed(env), view_of_this_run())
