"""For every suite: a defined start, and how to run a failed test again."""

from __future__ import annotations

import os
import shlex

import pytest

from tests import inherited


def pytest_configure() -> None:
    inherited.reset()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the command that runs each failed test alone."""
    if "MOLECULE_FILE" in os.environ:  # it runs the tests in its container; pytest alone cannot
        return
    failed = {report.nodeid for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, [])}
    for test in sorted(failed):
        terminalreporter.line(f"run it again: .venv/bin/python -m pytest {shlex.quote(test)}")
