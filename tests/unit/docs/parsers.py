"""Check a command without running it: against the Makefile, typer's commands, or the models of AWS's services."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any

import botocore.session
import typer
from botocore import xform_name

from ollama_gpu.cli.app import app
from ollama_gpu.core.paths import locate
from reference_docs.verbs import variables

ROOT = locate().repository
MAKEFILE = (ROOT / "Makefile").read_text()
PAGINATION = {"max-items", "page-size", "starting-token"}
"""Options that aws-cli adds to paginated operations; it accepts `--output` and `--query` everywhere."""


def verb_variables(verb: str) -> set[str]:
    """The variables that a verb of the Makefile reads, directly or through another variable."""
    return variables(MAKEFILE, verb)


def recipe(words: Sequence[str]) -> list[list[str]]:
    """The `ollama-gpu` commands that a `make` command would run; none for verbs that call something else."""
    shown = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *words[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.split(" ", 1)[0].endswith("/ollama-gpu")]


def parse(arguments: Sequence[str]) -> str:
    """The full name of the command that these arguments call. Raises click's error for invalid arguments."""
    command: Any = typer.main.get_command(app)
    path, rest, context = ["ollama-gpu"], list(arguments), None
    while True:
        context = command.make_context(path[-1], rest, parent=context)
        remaining = [*getattr(context, "_protected_args", []), *context.args]
        if not hasattr(command, "resolve_command") or not remaining:
            return " ".join(path)
        name, command, rest = command.resolve_command(context, remaining)
        path.append(name)


def unknown_to_aws(words: Sequence[str]) -> list[str]:
    """What the service's model lacks of an `aws` line (service, operation, options), and missing required options."""
    service, operation, *options = words[1:]
    session = _session()
    if service not in session.get_available_services():
        return [service]
    model = session.get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation == "wait":
        waiters = session.get_waiter_model(service)
        names = {xform_name(name, "-"): waiters.get_waiter(name).operation for name in waiters.waiter_names}
        operation, *options = options
    if operation not in names:
        return [f"{service} {operation}"]
    shape = model.operation_model(names[operation]).input_shape
    members = {xform_name(name, "-") for name in shape.members} if shape else set()
    required = {xform_name(name, "-") for name in shape.required_members} if shape else set()
    given = {option.removeprefix("--").removeprefix("no-") for option in options if option.startswith("--")}
    if not given:  # only the name of an operation
        return []
    return sorted((given - members - PAGINATION - {"output", "query"}) | (required - given))


@cache
def _session() -> Any:
    return botocore.session.get_session()
