"""Whether the GPU tests can run on this machine: it has a GPU, the roles have converged it, and the user is root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

SETTINGS = Path("/etc/ollama")
CONVERGE = "sudo .venv/bin/ansible-playbook -i localhost, -c local ollama.gpu.host"


def answer(command: Sequence[str], seconds: float = 60) -> str:
    """The output of a command; empty if the command does not exist, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def not_run(
    ask: Callable[[Sequence[str]], str] = answer, settings: Path = SETTINGS, user: Callable[[], int] = os.geteuid
) -> str:
    """Why the GPU tests cannot run here; empty if they can."""
    if "UUID: GPU-" not in ask(["nvidia-smi", "-L"]):
        return "needs a machine with an NVIDIA GPU"
    if not list(settings.glob("*.env")) or not ask(["systemctl", "list-unit-files", "--no-legend", "ollama@.service"]):
        return f"needs a GPU host that the roles have converged: {CONVERGE}"
    if user() != 0:
        return "needs root, because it starts a separate unit: sudo make gpu"
    return ""
