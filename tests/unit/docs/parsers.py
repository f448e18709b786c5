"""Holds a command against what would run it, without running it: the Makefile, typer's commands, AWS's own models."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any

import botocore.session
import typer
from botocore import xform_name

from ollama_gpu.cli import app
from ollama_gpu.paths import locate

ROOT = locate().repository
MAKEFILE = (ROOT / "Makefile").read_text().replace("\\\n", " ")
PAGINATION = {"max-items", "page-size", "starting-token"}
"""What aws-cli adds to operations that come in pages; `--output` and `--query` it takes everywhere."""


def verb_variables(verb: str) -> set[str]:
    """The variables that a verb of the Makefile goes by, also by way of another one."""
    definitions = dict(re.findall(r"^([A-Z_]+)\s*[?:]?=\s*(.*)$", MAKEFILE, flags=re.MULTILINE))
    recipes = " ".join(
        recipe
        for targets, recipe in re.findall(
            r"^([^\n:=#\t]+):(?!=)[^\n]*\n((?:\t[^\n]*\n?)+)", MAKEFILE, flags=re.MULTILINE
        )
        if verb in _expanded(targets, definitions)
    )
    known: set[str] = set()
    waiting = _named(recipes)
    while waiting:
        name = waiting.pop()
        known.add(name)
        waiting |= _named(definitions.get(name, "")) - known
    return known


def recipe(words: Sequence[str]) -> list[list[str]]:
    """The commands of `ollama-gpu` that a `make` would run; none for a verb that is no command of it."""
    said = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *words[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr
    lines = said.stdout.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.split(" ", 1)[0].endswith("/ollama-gpu")]


def parse(arguments: Sequence[str]) -> str:
    """The full name of the command that these arguments call. Raises click's error for what it does not take."""
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
    """What an `aws` line has that the service's own model lacks: service, operation, options, and required ones."""
    service, operation, *options = words[1:]
    session = _session()
    if service not in session.get_available_services():
        return [service]
    model = session.get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in names:
        return [f"{service} {operation}"]
    shape = model.operation_model(names[operation]).input_shape
    members = {xform_name(name, "-") for name in shape.members} if shape else set()
    required = {xform_name(name, "-") for name in shape.required_members} if shape else set()
    given = {option.removeprefix("--").removeprefix("no-") for option in options if option.startswith("--")}
    if not given:  # an operation that is only spoken of
        return []
    return sorted((given - members - PAGINATION - {"output", "query"}) | (required - given))


@cache
def _session() -> Any:
    return botocore.session.get_session()


def _expanded(targets: str, definitions: dict[str, str]) -> list[str]:
    return re.sub(r"\$\((\w+)\)", lambda name: definitions.get(name[1], ""), targets).split()


def _named(text: str) -> set[str]:
    return set(re.findall(r"\b[A-Z][A-Z_]{1,}\b", text))
