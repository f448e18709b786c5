"""What a person or a program sees on standard output: lines, tables and JSON. Progress goes to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def print_json(value: object) -> None:
    """Print a JSON document, keys in the order given."""
    print(json.dumps(value, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: ruled on a terminal, tab-free aligned text otherwise, so that it can be grepped."""
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        Console().print(table)
        return
    print(title)
    widths = [max(len(line[index]) for line in [columns, *rows]) for index in range(len(columns))]
    for line in [columns, *rows]:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def note(text: str) -> None:
    """A line for the person, on standard error so that it never spoils JSON."""
    print(text, file=sys.stderr, flush=True)


def confirm(question: str, expected: str) -> bool:
    """Ask on the terminal; true when the answer is ``expected``."""
    print(f"{question} ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return answer.strip() == expected


def flatten(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """A nested value as (dotted name, text) pairs, for a table."""
    if isinstance(value, dict):
        pairs: list[tuple[str, str]] = []
        for key, inner in value.items():
            pairs += flatten(inner, f"{prefix}.{key}" if prefix else str(key))
        return pairs
    if isinstance(value, list) and all(not isinstance(item, dict | list) for item in value):
        return [(prefix, ", ".join(_text(item) for item in value))]
    if isinstance(value, list):
        return [pair for index, item in enumerate(value) for pair in flatten(item, f"{prefix}[{index}]")]
    return [(prefix, _text(value))]


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


_STYLES = {"ok": "green", "failed": "bold red", "warning": "yellow", "skipped": "dim"}
