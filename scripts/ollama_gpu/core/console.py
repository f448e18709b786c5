"""Print results on standard output: lines, tables and JSON. Progress goes to standard error."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """A title, column names, and rows with one cell per column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_json(value: object) -> None:
    """Print a JSON document; keys keep their order."""
    print(json.dumps(value, indent=2, default=str))


def print_json_line(value: object) -> None:
    """Print a JSON document on one line, for streams of documents."""
    print(json.dumps(value, default=str), flush=True)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: with rules on a terminal, else as aligned text without tabs, suitable for grep."""
    print_tables([Table(title, columns, rows)])


def print_values(title: str, columns: tuple[str, str], values: object, json: bool) -> None:
    """Print a nested value: as JSON, or as a table with one row per (dotted name, text) pair."""
    if json:
        print_json(values)
    else:
        print_table(title, columns, flatten(values))


def print_tables(tables: Sequence[Table]) -> None:
    """Print tables one below the other, each like ``print_table``."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(*(_rich(table) for table in tables), sep="\n")
        return
    print("\n".join(line for table in tables for line in _plain(table)), flush=True)


@contextmanager
def redrawn() -> Iterator[Callable[[Sequence[Table]], None]]:
    """A function that replaces the tables on a terminal; without a terminal it prints them below the last ones."""
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


class ElapsedLines:
    """A text stream that begins each line with the time since the stream was made: ``[ 2:05] ``."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._began = clock()
        self._at_start = True

    def write(self, text: str) -> int:
        # One write for the whole text, so that lines of two threads do not mix.
        if not text:
            return 0
        prefix = self._prefix()
        lines = text.splitlines(keepends=True)
        head = "" if self._at_start else lines.pop(0)
        self._at_start = text.endswith("\n")
        self._stream.write(head + "".join(prefix + line if line.strip() else line for line in lines))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _prefix(self) -> str:
        seconds = int(self._clock() - self._began)
        return f"[{seconds // 60:2d}:{seconds % 60:02d}] "


@contextmanager
def elapsed_lines() -> Iterator[None]:
    """Begin each line on standard error with the time since the start, unless it is a terminal."""
    if sys.stderr.isatty():
        yield
        return
    with redirect_stderr(cast("TextIO", ElapsedLines(sys.stderr))):
        yield


def note(text: str) -> None:
    """Print a line for people, on standard error, so that JSON on standard output stays valid."""
    print(text, file=sys.stderr, flush=True)


def confirm(question: str, expected: str) -> bool:
    """Ask on the terminal; true if the answer is ``expected``."""
    print(f"{question} ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return answer.strip() == expected


def flatten(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """Flatten a nested value to (dotted name, text) pairs, for a table."""
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
