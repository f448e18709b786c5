"""The commands `ollama-gpu releases` and `ollama-gpu rollback`: parse, call, print. No logic."""

from __future__ import annotations

from typing import Annotated

import typer

from ollama_gpu.errors import UserError
from ollama_gpu.options import Confirm, Env, Every, Json, Yes

releases = typer.Typer(help="What was deployed, and how it ended.", rich_markup_mode=None)


@releases.callback(invoke_without_command=True)
def show(context: typer.Context, env: Env = "local", every: Every = False, json: Json = False) -> None:
    """The releases of an environment, newest first."""
    if context.invoked_subcommand is not None:
        refuse_before(context)
        return
    from ollama_gpu import release_records as records
    from ollama_gpu.console import print_json, print_table
    from ollama_gpu.context import open_context

    found = records.listed(open_context(env), None if every else records.SHOWN)
    if json:
        print_json([record.as_dict() for record in found])
    else:
        print_table(f"ENV={env}: releases", records.COLUMNS, [records.row(record) for record in found])


def refuse_before(context: typer.Context) -> None:
    """An option before the inner verb would be dropped, and the verb would work on another environment."""
    given = context.get_parameter_source("env")
    if given is not None and given.name == "COMMANDLINE":
        raise UserError(f"--env stands before `{context.invoked_subcommand}`.", "Write it behind.", status=2)


@releases.command()
def diff(first: int, second: int, env: Env = "local", json: Json = False) -> None:
    """What differs between two releases, by their numbers: facts, variables, Terraform."""
    from ollama_gpu import release_diff
    from ollama_gpu.console import print_json
    from ollama_gpu.context import open_context

    found = release_diff.compare(open_context(env), first, second)
    if json:
        print_json(found)
    else:
        print("\n".join(release_diff.lines(found)))


def rollback(
    to: Annotated[int | None, typer.Argument(help="A release's number. Default: what served before.")] = None,
    env: Env = "local",
    yes: Yes = False,
    confirm: Confirm = None,
    json: Json = False,
) -> None:
    """Go back to a release: apply its Terraform, variables and image again, and roll the instances to it."""
    from ollama_gpu import rollback as steps
    from ollama_gpu.approval import Approval
    from ollama_gpu.console import print_values
    from ollama_gpu.context import open_context
    from ollama_gpu.progress import view_of_this_run

    outputs = steps.run(open_context(env), to, Approval(yes, confirm), view_of_this_run())
    print_values(f"ENV={env}", ("output", "value"), outputs, json)
