"""A failed test is followed by the command that runs it again, where that command works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(("variables", "printed"), [({}, True), ({"MOLECULE_FILE": "molecule.yml"}, False)])
def test_failed_test_is_followed_by_its_command(tmp_path: Path, variables: dict[str, str], printed: bool) -> None:
    (tmp_path / "test_it.py").write_text("def test_it():\n    assert False\n")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)} | variables, capture_output=True, text=True,
    )  # fmt: skip
    assert "1 failed" in ran.stdout
    assert ("run it again: .venv/bin/python -m pytest test_it.py::test_it" in ran.stdout) is printed
