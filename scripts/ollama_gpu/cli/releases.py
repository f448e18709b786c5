"""The verbs `releases` and `rollback`."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.cli.options import Confirm, Env, Every, Json, Yes
from ollama_gpu.core.errors import UserError

releases = typer.Typer(help="List releases, or compare two of them.", rich_markup_mode=None)


@releases.callback(invoke_without_command=True)
def show(context: typer.Context, env: Env = "local", every: Every = False, json: Json = False) -> None:
    """List the releases of an environment, newest first."""
    if context.invoked_subcommand is not None:
        require_env_after_subcommand(context)
        return
    from ollama_gpu.core.console import print_json, print_table
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.releases import records

    found = records.listed(open_context(env), None if every else records.SHOWN)
    if json:
        print_json([record.as_dict() for record in found])
    else:
        print_table(f"ENV={env}: releases", records.COLUMNS, [records.row(record) for record in found])


def require_env_after_subcommand(context: typer.Context) -> None:
    """Reject --env before a subcommand: click would ignore it, and the subcommand would use another environment."""
    given = context.get_parameter_source("env")
    if given is not None and given.name == "COMMANDLINE":
        verb = context.invoked_subcommand
        raise UserError(f"--env is in front of `{verb}`.", f"Put it after `{verb}`.", status=2)


@releases.command()
def diff(first: int, second: int, env: Env = "local", json: Json = False) -> None:
    """Compare two releases by number: image, models, variables, Terraform files."""
    from ollama_gpu.core.console import print_json
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.releases import diff as release_diff

    found = release_diff.compare(open_context(env), first, second)
    if json:
        print_json(found)
    else:
        print("\n".join(release_diff.lines(found)))


def rollback(
    to: Annotated[int | None, typer.Argument(help="Release number. Default: the previous deployed release.")] = None,
    env: Env = "local",
    yes: Yes = False,
    confirm: Confirm = None,
    json: Json = False,
) -> None:
    """Roll back to an earlier release. Applies its Terraform, variables and image, and rolls the instances."""
    from ollama_gpu.core.console import print_values
    from ollama_gpu.deploy import rollback as steps
    from ollama_gpu.environment.context import open_context
    from ollama_gpu.fabric.approval import Approval
    from ollama_gpu.terraform.progress import view_of_this_run

    outputs = steps.run(open_context(env), to, Approval(yes, confirm), view_of_this_run())
    print_values(f"ENV={env}", ("output", "value"), outputs, json)
