"""The verbs `state` and `unlock`."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.cli.options import Env, Every, Json

state = typer.Typer(
    help="List or restore versions of the Terraform state. For a corrupt or deleted state.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@state.command(name="list")
def show(env: Env = "local", every: Every = False, json: Json = False) -> None:
    """List the versions of the state, newest first, with resource count and problems."""
    from ollama_gpu.core.console import print_json, print_table
    from ollama_gpu.environment import remote_state
    from ollama_gpu.environment.context import open_context

    found = remote_state.versions(open_context(env), None if every else remote_state.SHOWN)
    if json:
        print_json([version.as_dict() for version in found])
    else:
        print_table(f"ENV={env}: state", remote_state.COLUMNS, [remote_state.row(version) for version in found])


@state.command()
def restore(
    version: Annotated[str, typer.Argument(help="The version's id from `state list`.")],
    env: Env = "local",
    confirm: Annotated[str | None, typer.Option("--confirm", help="The environment's name, as approval.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Restore even if the current state is readable.")] = False,
) -> None:
    """Restore an earlier version of a corrupt or deleted state. To undo a deploy, use rollback instead."""
    from ollama_gpu.core.console import note
    from ollama_gpu.environment import remote_state
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.fabric.approval import require_name

    context = open_context(env)
    require_name(env, confirm, f"This replaces the Terraform state of {env} with its version {version}.")
    serial, _ = remote_state.restore(context, version, force=force)
    note(f"state: restored, serial {serial}. To review what a deploy would change: make plan ENV={env}")


def unlock(
    lock: Annotated[str, typer.Argument(help="The lock's id from the error message.")], env: Env = "local"
) -> None:
    """Release a state lock whose owner is no longer running."""
    from ollama_gpu.core.console import note
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.fabric.fabric import Fabric
    from ollama_gpu.terraform.progress import view_of_this_run

    fabric = Fabric(open_context(env), view_of_this_run())
    fabric.init()
    fabric.unlock(lock)
    note(f"ENV={env}: released the lock {lock}.")
