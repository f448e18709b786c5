"""Prints checks and sets the exit status."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from ollama_gpu.core.checks import COLUMNS, Check, rows
from ollama_gpu.core.console import print_json, print_table


def report(title: str, checks: Sequence[Check], json: bool) -> None:
    """Print checks as a table or as JSON. Raises typer.Exit (1) if a check failed."""
    if json:
        print_json([check.as_dict() for check in checks])
    else:
        print_table(title, COLUMNS, rows(checks))
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(1)
