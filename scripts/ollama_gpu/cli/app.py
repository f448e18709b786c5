"""The command `ollama-gpu`: the list of its verbs, and how an error ends it.

Each verb is in the file of its noun and only parses, calls and prints. A verb imports everything heavier than typer
inside its function, so that `--help` stays fast.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from ollama_gpu.cli.administrator import administrator
from ollama_gpu.cli.backup import backup, drill, restore
from ollama_gpu.cli.bake import bake
from ollama_gpu.cli.bootstrap import bootstrap
from ollama_gpu.cli.capacity import capacity, simulate
from ollama_gpu.cli.cost import cost
from ollama_gpu.cli.deploy import deploy, plan, preflight
from ollama_gpu.cli.destroy import destroy, local_down
from ollama_gpu.cli.doctor import doctor
from ollama_gpu.cli.lab import lab
from ollama_gpu.cli.models import models
from ollama_gpu.cli.outputs import env, outputs
from ollama_gpu.cli.releases import releases, rollback
from ollama_gpu.cli.rollout import rollout
from ollama_gpu.cli.sign_on import sign_on
from ollama_gpu.cli.state import state, unlock
from ollama_gpu.cli.watch import events, logs, status, verify
from ollama_gpu.core import interrupt
from ollama_gpu.core.errors import UserError

app = typer.Typer(
    help="Run Ollama and Open WebUI in production on AWS GPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(doctor)
app.command()(bootstrap)
app.command()(bake)
app.command()(preflight)
app.command()(plan)
app.command()(deploy)
app.command()(rollback)
app.command()(destroy)
app.command(name="local-down")(local_down)

app.command()(status)
app.command()(verify)
app.command()(logs)
app.command()(events)

app.command()(outputs)
app.command()(env)
app.command()(administrator)
app.command(name="sign-on")(sign_on)

app.command()(restore)
app.command()(drill)
app.command()(unlock)

app.command()(capacity)
app.command()(simulate)
app.command()(cost)

app.add_typer(releases, name="releases")
app.add_typer(rollout, name="rollout")
app.add_typer(models, name="models")
app.add_typer(backup, name="backup")
app.add_typer(state, name="state")
app.add_typer(lab, name="lab")


def main() -> None:
    """Run the command. A user's error ends as a sentence and exit status 1 or 2, Ctrl-C as status 130."""
    interrupt.remember()
    try:
        app()
    except UserError as error:
        _fail(error)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # `ollama-gpu outputs | head` closes the pipe early. That is not an error of this command.
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        if _from_aws(error):  # before OSError: botocore's timeouts are OSErrors too
            from ollama_gpu.core.aws import explain

            _fail(explain(error))  # type: ignore[arg-type]
        if not isinstance(error, OSError):
            raise
        where = f" ({error.filename})" if error.filename else ""
        _fail(
            UserError(
                f"The operating system reported an error: {error.strerror or error}{where}.",
                "Check the free disk space and the file's permissions.",
            )
        )


def _from_aws(error: Exception) -> bool:
    return any(base.__module__.startswith("botocore.") for base in type(error).__mro__)


def _fail(error: UserError) -> NoReturn:
    print(f"error: {error.message}", file=sys.stderr)
    if error.remedy:
        print(error.remedy, file=sys.stderr)
    sys.exit(error.status)
