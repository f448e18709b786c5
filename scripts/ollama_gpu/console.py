"""What a person or a program sees on standard output: lines, tables and JSON. Progress goes to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """A title, the columns' names, and rows of as many cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_json(value: object) -> None:
    """Print a JSON document, keys in the order given."""
    print(json.dumps(value, indent=2, default=str))


def print_json_line(value: object) -> None:
    """Print a JSON document on a line of its own: for what comes one by one and may never end."""
    print(json.dumps(value, default=str), flush=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: ruled on a terminal, tab-free aligned text otherwise, so that it can be grepped."""
    print_tables([Table(title, columns, rows)])


def print_values(title: str, columns: tuple[str, str], values: object, json: bool) -> None:
    """Print a nested value: as JSON for a program, otherwise a row for each (dotted name, text) of it."""
    if json:
        print_json(values)
    else:
        print_table(title, columns, flatten(values))


def print_tables(tables: Sequence[Table]) -> None:
    """Print tables one below the other, as ``print_table`` does each."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(*(_rich(table) for table in tables), sep="\n")
        return
    print("\n".join(line for table in tables for line in _plain(table)), flush=True)


@contextmanager
def redrawn() -> Iterator[Callable[[Sequence[Table]], None]]:
    """A function that shows tables in place of those that it showed before; below them where this is no terminal."""
    if not sys.stdout.isatty():
        yield print_tables
        return
    from rich.console import Group
    from rich.live import Live

    with Live(auto_refresh=False, screen=True) as live:
        yield lambda tables: live.update(Group(*(_rich(table) for table in tables)), refresh=True)


def _rich(table: Table) -> RichTable:
    from rich.table import Table as RichTable
    from rich.text import Text

    made = RichTable(title=table.title, title_justify="left")
    for column in table.columns:
        made.add_column(column, overflow="fold")
    for row in table.rows:
        made.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    return made


def _plain(table: Table) -> Iterator[str]:
    yield table.title
    widths = [max(len(line[index]) for line in [table.columns, *table.rows]) for index in range(len(table.columns))]
    for line in [table.columns, *table.rows]:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


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
