"""Whether this machine can settle what only a GPU can: the roles have converged it, and root asks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

SETTINGS = Path("/etc/ollama")
CONVERGE = "sudo .venv/bin/ansible-playbook -i localhost, -c local ollama.gpu.host"


def answer(command: Sequence[str], seconds: float = 60) -> str:
    """What a command says; empty where there is none, it fails or it hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def not_run(
    ask: Callable[[Sequence[str]], str] = answer, settings: Path = SETTINGS, user: Callable[[], int] = os.geteuid
) -> str:
    """Why the tests of a GPU cannot run here; empty where they can."""
    if "UUID: GPU-" not in ask(["nvidia-smi", "-L"]):
        return "needs a machine with an NVIDIA GPU"
    if not list(settings.glob("*.env")) or not ask(["systemctl", "list-unit-files", "--no-legend", "ollama@.service"]):
        return f"needs a GPU host that the roles have converged: {CONVERGE}"
    if user() != 0:
        return "needs root, for a unit of its own: sudo make gpu"
    return ""
