"""The console output of instances, kept after they are gone: it shows why a launch failed."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.local.lab.docker import Docker

KEPT = 50
"""Number of newest consoles to keep. A group whose launches fail creates one every few minutes."""

_OUTPUT = "/var/log/cloud-init-output.log"


def keep(docker: Docker, container: str, folder: Path, identifier: str) -> None:
    """Copy the output of user data, if there is any, to ``folder``/``identifier``.log."""
    folder.mkdir(parents=True, exist_ok=True)
    docker.succeeds("cp", f"{container}:{_OUTPUT}", str(folder / f"{identifier}.log"))
    newest_first = sorted(folder.glob("*.log"), key=lambda file: file.stat().st_mtime, reverse=True)
    for file in newest_first[KEPT:]:
        file.unlink(missing_ok=True)
