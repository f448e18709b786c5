"""What an instance printed at its first boot, kept when the instance is gone: a failed launch says there why."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.lab.docker import Docker

KEPT = 50
"""Consoles of the newest that are kept; a group that fails to launch makes a new one every few minutes."""

_OUTPUT = "/var/log/cloud-init-output.log"


def keep(docker: Docker, container: str, folder: Path, identifier: str) -> None:
    """Copy the output of user data to ``folder``/``identifier``.log; where there is none, nothing is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    docker.succeeds("cp", f"{container}:{_OUTPUT}", str(folder / f"{identifier}.log"))
    newest_first = sorted(folder.glob("*.log"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in newest_first[KEPT:]:
        file.unlink(missing_ok=True)
