"""The command `ollama-gpu state`: parse, call, print. No logic."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.options import Env, Every, Json

state = typer.Typer(
    help="Versions of an environment's Terraform state, for when it is broken or gone.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@state.command(name="list")
def show(env: Env = "local", every: Every = False, json: Json = False) -> None:
    """The versions of the state, newest first: when, how many resources, and what is wrong with one."""
    from ollama_gpu import remote_state
    from ollama_gpu.console import print_json, print_table
    from ollama_gpu.context import open_context

    found = remote_state.versions(open_context(env), None if every else remote_state.SHOWN)
    if json:
        print_json([version.as_dict() for version in found])
    else:
        print_table(f"ENV={env}: state", remote_state.COLUMNS, [remote_state.row(version) for version in found])


@state.command()
def restore(
    version: Annotated[str, typer.Argument(help="The version's id, as `state list` shows it.")],
    env: Env = "local",
    confirm: Annotated[str | None, typer.Option("--confirm", help="The environment's name: agrees to it.")] = None,
    although_sound: Annotated[
        bool, typer.Option("--although-sound", help="Although the present state can be read.")
    ] = False,
) -> None:
    """For corruption only: make an earlier version the present state. To go back, use rollback."""
    from ollama_gpu import remote_state
    from ollama_gpu.approval import require_name
    from ollama_gpu.console import note
    from ollama_gpu.context import open_context

    context = open_context(env)
    require_name(env, confirm, f"This replaces the Terraform state of {env} by its version {version}.")
    serial, _ = remote_state.restore(context, version, although_sound=although_sound)
    note(f"state: restored, its serial is {serial} now. See what it would change: make plan ENV={env}")
