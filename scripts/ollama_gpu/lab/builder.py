"""Runs a shell script in the builder's image, as the user who asked, with the folders that it needs and no others."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.progress import ProgressView

from .docker import LABEL, Docker
from .host_settings import HostSettings


@dataclass(frozen=True)
class Mount:
    """A folder of this machine at a place inside; read-only unless said otherwise."""

    source: Path
    target: str
    writable: bool = False

    @property
    def option(self) -> str:
        return f"{self.source}:{self.target}" + ("" if self.writable else ":ro")


@dataclass(frozen=True)
class Builder:
    """``image`` is the reference of an image with the compilers."""

    docker: Docker
    image: str
    host: HostSettings
    logs: Path
    view: ProgressView

    def run(
        self,
        what: str,
        script: str,
        mounts: Sequence[Mount],
        environment: Mapping[str, str] | None = None,
        network: bool = True,
    ) -> None:
        """Run ``script`` with bash; UserError with the end of its output when a line of it fails."""
        name = f"ollama-gpu-build-{os.getpid()}"
        values = {**self.host.proxies(), **(environment or {}), "HOME": "/tmp"}  # noqa: S108 - inside the container
        options = [f"--volume={mount.option}" for mount in mounts]
        options += [f"--env={name}={value}" for name, value in values.items()]
        if not network:
            options.append("--network=none")
        # Low priority: a build of minutes must not make the machine unusable.
        command = ["nice", "-n", "10", "bash", "-euo", "pipefail", "-c", script]
        try:
            self.docker.execute(
                "run", "--rm", "--name", name, f"--label={LABEL}=build", f"--user={os.getuid()}:{os.getgid()}",
                *options, self.image, *command, what=what, log=self.logs / "build.log", view=self.view,
            )  # fmt: skip
        finally:
            self.docker.remove(name)  # still there only when the build was interrupted
