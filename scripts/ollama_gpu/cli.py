"""The command `ollama-gpu`: parse, call, print. No logic.

Everything heavier than typer is imported inside a verb, so that `--help` stays quick.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ollama_gpu.backup_commands import backup, drill, restore
from ollama_gpu.bake.commands import bake
from ollama_gpu.capacity.commands import capacity, simulate
from ollama_gpu.cost.commands import cost
from ollama_gpu.errors import UserError
from ollama_gpu.lab.commands import lab
from ollama_gpu.models_commands import models
from ollama_gpu.options import Confirm, Env, Json, Yes
from ollama_gpu.releases_commands import releases, rollback
from ollama_gpu.rollout_commands import rollout
from ollama_gpu.sign_on_commands import sign_on
from ollama_gpu.state_commands import state
from ollama_gpu.watch_commands import events, logs, status, verify

if TYPE_CHECKING:
    from ollama_gpu.progress import ProgressView

app = typer.Typer(
    help="A production home on AWS GPUs for Ollama and Open WebUI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(bake)
app.command()(capacity)
app.command()(cost)
app.command()(simulate)
for verb in (status, logs, events, verify):
    app.command()(verb)
app.command(name="sign-on")(sign_on)
app.command()(rollback)
app.add_typer(backup, name="backup")
app.command()(restore)
app.command()(drill)
app.add_typer(lab, name="lab")
app.add_typer(models, name="models")
app.add_typer(releases, name="releases")
app.add_typer(rollout, name="rollout")
app.add_typer(state, name="state")

Lab = Annotated[
    bool, typer.Option("--lab/--no-lab", help="ENV=local: run instances as containers, or the fabric alone.")
]


@app.command()
def doctor(env: Env = "local", json: Json = False) -> None:
    """Is this machine fit? Looks only."""
    from ollama_gpu import paths
    from ollama_gpu.check_report import report
    from ollama_gpu.doctor import run

    report("doctor", run(paths.locate(), env), json)


@app.command()
def bootstrap(env: Env = "local", json: Json = False) -> None:
    """Once per account and region: state bucket, artifact bucket, image role."""
    from ollama_gpu import bootstrap as steps
    from ollama_gpu.context import open_context

    _print_outputs("bootstrap", steps.run(open_context(env, start_embedded=True), _view()), json)


@app.command()
def preflight(env: Env = "local", json: Json = False) -> None:
    """Check all that can be refused before money is spent."""
    from ollama_gpu import deploy as steps
    from ollama_gpu.check_report import report
    from ollama_gpu.context import open_context

    report("preflight", steps.check(open_context(env, start_embedded=True), _view()), json)


@app.command()
def plan(env: Env = "local", json: Json = False) -> None:
    """Show what a deploy would change. Changes nothing."""
    from ollama_gpu import deploy as steps
    from ollama_gpu.console import print_json
    from ollama_gpu.context import open_context

    saved = steps.plan(open_context(env, start_embedded=True), _view())
    saved.path.unlink(missing_ok=True)
    if json:
        print_json(saved.review.as_dict())
    else:
        print("\n".join(saved.review.lines()))


@app.command()
def deploy(env: Env = "local", yes: Yes = False, confirm: Confirm = None, lab: Lab = True, json: Json = False) -> None:
    """Provision and wait until it serves: preflight, plan, review, apply that plan, an empty second plan, a chat."""
    from ollama_gpu import deploy as steps
    from ollama_gpu.approval import Approval
    from ollama_gpu.console import note
    from ollama_gpu.context import open_context

    context = open_context(env, start_embedded=True)
    outputs = steps.deploy(context, Approval(yes, confirm), _view(), lab)
    _print_outputs(f"ENV={env}", outputs, json)
    if context.environment.embedded and not lab:
        note("The fabric stands alone (LAB=off): its instances are records of the embedded AWS.")


@app.command()
def outputs(env: Env = "local", json: Json = False) -> None:
    """Every identifier and address of a deployed environment."""
    from ollama_gpu.deployed import deployed

    _print_outputs(f"ENV={env}", deployed(env)[1], json)


@app.command()
def administrator(env: Env = "local", json: Json = False) -> None:
    """The first administrator's e-mail address and password, from Secrets Manager, for whoever may read them."""
    from ollama_gpu import secret_values
    from ollama_gpu.console import print_values
    from ollama_gpu.context import open_context

    context = open_context(env)
    found = secret_values.administrator(context.environment, context.contract, context.aws)
    print_values(f"ENV={env}", ("what", "value"), found, json)


@app.command(name="env")
def exports(env: Env = "local", json: Json = False) -> None:
    """Print exports that point aws-cli, boto3 and Ansible at an environment: eval "$(ollama-gpu env)"."""
    import shlex

    from ollama_gpu.console import print_json
    from ollama_gpu.context import open_context

    context = open_context(env)
    if json:
        print_json({"set": context.exports, "unset": list(context.unset)})
        return
    stale = sorted(set(context.unset) - set(context.exports))
    if stale:
        print("unset " + " ".join(stale))
    for key, value in context.exports.items():
        print(f"export {key}={shlex.quote(value)}")


@app.command()
def destroy(env: Env = "local", yes: Yes = False, confirm: Confirm = None, json: Json = False) -> None:
    """Remove an environment, data and all; then look whether anything is left."""
    from ollama_gpu import deploy as steps
    from ollama_gpu import environments, paths
    from ollama_gpu.approval import Approval
    from ollama_gpu.console import note, print_json
    from ollama_gpu.context import embedded_aws, open_context

    where = paths.locate()
    environment = environments.load(where, env)
    if environment.embedded and embedded_aws(where, environment.region).running() is None:
        left: list[str] = []
        note(f"ENV={env} is not running: there is nothing to destroy.")
    else:
        left = steps.destroy(open_context(env), Approval(yes, confirm), _view())
        note(
            f"ENV={env}: {len(left)} left that no state knows, as an interrupted run can leave. Remove by hand:"
            if left
            else f"ENV={env}: nothing is left."
        )
    if json:
        print_json({"left": left})
    else:
        print("\n".join(left), end="\n" if left else "")
    if left:
        raise typer.Exit(1)


@app.command()
def unlock(
    lock: Annotated[str, typer.Argument(help="The lock's id, as the refusal printed it.")], env: Env = "local"
) -> None:
    """Release a lock whose holder is dead for certain."""
    from ollama_gpu.console import note
    from ollama_gpu.context import open_context
    from ollama_gpu.fabric import Fabric

    fabric = Fabric(open_context(env), _view())
    fabric.init()
    fabric.unlock(lock)
    note(f"ENV={env}: the lock {lock} is released.")


@app.command(name="local-down")
def local_down() -> None:
    """End ENV=local, whatever is in it: the embedded AWS, and the lab's containers, volumes and network."""
    from ollama_gpu import contract, environments, paths
    from ollama_gpu.console import note
    from ollama_gpu.context import embedded_aws
    from ollama_gpu.lab import plane

    where, local = paths.locate(), environments.EMBEDDED
    removed = plane.down(where, contract.load(where.contract).project, local)
    gone = removed.containers + removed.volumes + removed.networks
    note(f"The lab: {', '.join(gone)} removed." if gone else "The lab ran nothing.")
    for kept in removed.kept:
        note(f"kept: {kept}")
    stopped = embedded_aws(where, environments.load(where, local).region).stop()
    note("The embedded AWS is stopped." if stopped else "The embedded AWS was not running.")


def main() -> None:
    """Entry point: every error that a user can cause ends here in a sentence and exit status 1 or 2 (130: Ctrl-C)."""
    try:
        app()
    except UserError as error:
        _fail(error)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # `ollama-gpu outputs | head`: the reader has gone, which is no error of ours.
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        if _from_aws(error):  # before OSError: botocore's time-outs are of that kind too
            from ollama_gpu.aws import explain

            _fail(explain(error))  # type: ignore[arg-type]
        if not isinstance(error, OSError):
            raise
        where = f" ({error.filename})" if error.filename else ""
        _fail(
            UserError(f"The system refused: {error.strerror or error}{where}.", "Free some space, or check its rights.")
        )


def _from_aws(error: Exception) -> bool:
    return type(error).__module__.startswith("botocore.") or any(
        base.__module__.startswith("botocore.") for base in type(error).__mro__
    )


def _fail(error: UserError) -> NoReturn:
    print(f"error: {error.message}", file=sys.stderr)
    if error.remedy:
        print(error.remedy, file=sys.stderr)
    sys.exit(error.status)


def _view() -> ProgressView:
    from ollama_gpu.progress import view_of_this_run

    return view_of_this_run()


def _print_outputs(title: str, values: dict[str, Any], json: bool) -> None:
    from ollama_gpu.console import print_values

    print_values(title, ("output", "value"), values, json)
