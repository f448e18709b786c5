"""Lines of a log begin with the time since the start of the command. Terminals and standard output do not."""

from __future__ import annotations

import io
import sys

import pytest

from ollama_gpu.core.console import ElapsedLines, elapsed_lines, note, print_json


def test_each_line_begins_with_the_elapsed_time() -> None:
    now = [100.0]
    stream = io.StringIO()
    lines = ElapsedLines(stream, lambda: now[0])
    print("one", file=lines)
    now[0] += 125
    print("two\nthree", end="", file=lines)
    print(" of it", file=lines)
    print(file=lines)
    assert stream.getvalue() == "[ 0:00] one\n[ 2:05] two\n[ 2:05] three of it\n\n"


def test_json_on_standard_output_is_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    with elapsed_lines():
        note("working")
        print_json({"a": 1})
    note("ended")
    captured = capsys.readouterr()
    assert captured.err == "[ 0:00] working\nended\n"
    assert captured.out == '{\n  "a": 1\n}\n'


def test_a_terminal_has_no_elapsed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with elapsed_lines():
        note("working")
    assert stream.getvalue() == "working\n"
