"""How a verb that checks ends: its rows are printed, and one that failed makes the exit status 1."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from ollama_gpu.checks import COLUMNS, Check, rows
from ollama_gpu.console import print_json, print_table


def report(title: str, checks: Sequence[Check], json: bool) -> None:
    """Print checks as a table, or as JSON for a program. Raises typer.Exit (1) when one failed."""
    if json:
        print_json([check.as_dict() for check in checks])
    else:
        print_table(title, COLUMNS, rows(checks))
    if any(check.state == "failed" for check in checks):
        raise typer.Exit(1)
