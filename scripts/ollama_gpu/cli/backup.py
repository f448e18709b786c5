"""The verbs `backup`, `restore` and `drill`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ollama_gpu.cli.options import Confirm, Env, Json, Yes

if TYPE_CHECKING:
    from ollama_gpu.backup.protected import Protected
    from ollama_gpu.environment.context import Context
    from ollama_gpu.terraform.progress import ProgressView

backup = typer.Typer(help="Back up an environment, or list its backups.", no_args_is_help=True, rich_markup_mode=None)

Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PART", help="database, uploads, models or configuration. Repeatable."),
]


@backup.command()
def now(env: Env = "local", only: Only = None, json: Json = False) -> None:
    """Back up the database, uploads, models and configuration, and wait until the backup completes."""
    from ollama_gpu.backup import take

    context, protected = _open(env)
    _print(f"ENV={env}: backup", take(context, protected, _view(), only or ()).as_dict(), json)


@backup.command(name="list")
def show(env: Env = "local", json: Json = False) -> None:
    """List the backups and recovery points that can be restored, newest first."""
    from ollama_gpu.backup import points
    from ollama_gpu.core.console import print_json, print_table
    from ollama_gpu.terraform.progress import duration

    context, protected = _open(env)
    found = [point.as_dict() for point in points.read(context, protected, points.records(context))]
    if json:
        print_json(found)
        return
    rows = [
        (each["part"], each["point"], duration(each["age_seconds"]), str(each["bytes"]), each["backup"] or "scheduled")
        for each in found
    ]
    print_table(f"ENV={env}: backups", ("part", "point", "age", "bytes", "backup"), rows)


def restore(
    env: Env = "local",
    point: Annotated[
        str | None,
        typer.Option("--point", help="A backup or point from `backup list`. Default: the newest points."),
    ] = None,
    time: Annotated[
        datetime | None,
        typer.Option(
            "--time",
            formats=["%Y-%m-%dT%H:%M:%S%z"],
            help="Restore database and uploads as they were at this time, such as 2026-01-31T14:05:00Z.",
        ),
    ] = None,
    only: Only = None,
    update_state_only: Annotated[
        bool,
        typer.Option("--update-state-only", help="Run only the last step: update Terraform's state."),
    ] = False,
    yes: Yes = False,
    confirm: Confirm = None,
    json: Json = False,
) -> None:
    """Restore from a backup: database, missing files, configuration."""
    from ollama_gpu.backup import points
    from ollama_gpu.backup import restore as steps
    from ollama_gpu.core.errors import UserError
    from ollama_gpu.fabric.approval import Approval

    context, protected = _open(env)
    approval = Approval(yes, confirm)
    if update_state_only:
        steps.update_state(context, protected, approval, _view())
        return
    if time and point:
        raise UserError("--time and --point exclude each other.", "Leave out one of them.", 2)
    if time:
        chosen = points.at(context, protected, time, only or ())
    else:
        chosen = points.choose(points.read(context, protected, points.records(context)), point, only or ())
    steps.require_approval(context, chosen, approval)
    restored = steps.restore(context, protected, chosen, _view())
    if "database" in restored.points:
        steps.update_state(context, protected, approval, _view())
    _print(f"ENV={env}: restored", restored.as_dict(), json)
    steps.require_complete(context, restored)


def drill(env: Env = "local", yes: Yes = False, confirm: Confirm = None, json: Json = False) -> None:
    """Rehearse a disaster. Backs up, DELETES the data, restores it, and compares the content."""
    from ollama_gpu.backup.drill import run
    from ollama_gpu.backup.drill.content import OpenWebUI
    from ollama_gpu.deploy import front_door
    from ollama_gpu.environment import secrets
    from ollama_gpu.fabric.approval import Approval

    context, protected, outputs = _open_with_outputs(env)
    administrator = secrets.administrator(context)
    open_webui = OpenWebUI(front_door.address(context, outputs), administrator)
    report = run.run(context, protected, open_webui, Approval(yes, confirm), _view())
    _print(f"ENV={env}: drill", report.as_dict(), json)


def _open_with_outputs(env: str) -> tuple[Context, Protected, dict[str, Any]]:
    from ollama_gpu.backup import protected
    from ollama_gpu.cli.deployed import deployed

    context, outputs = deployed(env)
    return context, protected.from_outputs(outputs, env), outputs


def _open(env: str) -> tuple[Context, Protected]:
    return _open_with_outputs(env)[:2]


def _print(title: str, values: dict[str, Any], json: bool) -> None:
    from ollama_gpu.core.console import print_values

    print_values(title, ("field", "value"), values, json)


def _view() -> ProgressView:
    from ollama_gpu.terraform.progress import view_of_this_run

    return view_of_this_run()
