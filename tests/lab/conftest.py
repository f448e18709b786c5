"""Supplies for every test of the lab: its images and downloads, created if missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def supplied() -> None:
    if shutil.which("docker") is None and os.geteuid() != 0:
        pytest.skip("needs a container engine: start one, or run this as root, which installs and starts it")
    command = [str(Path(sys.executable).with_name("ollama-gpu")), "lab", "supply"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
