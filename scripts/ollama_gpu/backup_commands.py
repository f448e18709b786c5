"""The commands `ollama-gpu backup`, `restore` and `drill`: parse, call, print. No logic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ollama_gpu.options import Confirm, Env, Json, Yes

if TYPE_CHECKING:
    from ollama_gpu.backup.protected import Protected
    from ollama_gpu.context import Context
    from ollama_gpu.progress import ProgressView

backup = typer.Typer(
    help="What an environment could be restored from, and a backup of now.", no_args_is_help=True, rich_markup_mode=None
)

Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PART", help="database, uploads, models or configuration; may be repeated."),
]


@backup.command()
def now(env: Env = "local", only: Only = None, json: Json = False) -> None:
    """Back up database, uploads, models and configuration, and wait until that is done."""
    from ollama_gpu.backup import take

    context, protected = _open(env)
    _print(f"ENV={env}: backup", take(context, protected, _view(), only or ()).as_dict(), json)


@backup.command(name="list")
def show(env: Env = "local", json: Json = False) -> None:
    """What there is to go back to, newest first."""
    from ollama_gpu.backup import points
    from ollama_gpu.console import print_json, print_table
    from ollama_gpu.progress import duration

    context, protected = _open(env)
    found = [point.as_dict() for point in points.read(context, protected, points.records(context))]
    if json:
        print_json(found)
        return
    rows = [
        (each["part"], each["point"], duration(each["age_seconds"]), str(each["bytes"]), each["backup"] or "by a plan")
        for each in found
    ]
    print_table(f"ENV={env}: backups", ("part", "point", "age", "bytes", "backup"), rows)


def restore(
    env: Env = "local",
    point: Annotated[
        str | None, typer.Option("--point", help="A backup or a point of `backup list`. Default: the newest of each.")
    ] = None,
    only: Only = None,
    settle: Annotated[
        bool, typer.Option("--settle", help="The last step alone, of a restore that was interrupted: Terraform's.")
    ] = False,
    yes: Yes = False,
    confirm: Confirm = None,
    json: Json = False,
) -> None:
    """Bring back what a backup has: the database beside the old one and into its place, lost files, configuration."""
    from ollama_gpu.approval import Approval
    from ollama_gpu.backup import points
    from ollama_gpu.backup import restore as steps

    context, protected = _open(env)
    approval = Approval(yes, confirm)
    if settle:
        steps.settle(context, protected, approval, _view())
        return
    found = points.read(context, protected, points.records(context))
    chosen = points.choose(found, point, only or ())
    steps.agree(context, chosen, approval)
    restored = steps.restore(context, protected, chosen, _view())
    if "database" in restored.points:
        steps.settle(context, protected, approval, _view())
    _print(f"ENV={env}: restored", restored.as_dict(), json)


def drill(env: Env = "local", yes: Yes = False, confirm: Confirm = None, json: Json = False) -> None:
    """Write, back up, destroy for real, restore, and prove by content that all is back. Deletes data."""
    from ollama_gpu import deploy, secret_values
    from ollama_gpu.approval import Approval
    from ollama_gpu.drill import run
    from ollama_gpu.drill.content import Site

    context, protected, outputs = _opened(env)
    administrator = secret_values.administrator(context.environment, context.contract, context.aws)
    site = Site(deploy.door(context, outputs), administrator)
    report = run.run(context, protected, site, Approval(yes, confirm), _view())
    _print(f"ENV={env}: drill", report.as_dict(), json)


def _opened(env: str) -> tuple[Context, Protected, dict[str, Any]]:
    from ollama_gpu.backup import protected
    from ollama_gpu.deployed import deployed

    context, outputs = deployed(env)
    return context, protected.of(outputs, env), outputs


def _open(env: str) -> tuple[Context, Protected]:
    return _opened(env)[:2]


def _print(title: str, values: dict[str, Any], json: bool) -> None:
    from ollama_gpu.console import print_values

    print_values(title, ("what", "value"), values, json)


def _view() -> ProgressView:
    from ollama_gpu.progress import view_of_this_run

    return view_of_this_run()
