"""Runs shell scripts in the builder's image, as the present user, with the given folders only."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.terraform.progress import ProgressView

from .docker import LABEL, Docker
from .host_settings import HostSettings
from .how_far import HowFar


@dataclass(frozen=True)
class Mount:
    """A folder of this machine, mounted at ``target`` in the container; read-only by default."""

    source: Path
    target: str
    writable: bool = False

    @property
    def option(self) -> str:
        return f"{self.source}:{self.target}" + ("" if self.writable else ":ro")


@dataclass(frozen=True)
class Builder:
    """Builds in the image with the reference ``image``, which has the compilers."""

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
        how_far: HowFar | None = None,
    ) -> None:
        """Run ``script`` with bash. Raises UserError with the end of its output when a command fails."""
        name = f"ollama-gpu-build-{os.getpid()}"
        values = {**self.host.proxies(), **(environment or {}), "HOME": "/tmp"}  # noqa: S108 - inside the container
        options = [f"--volume={mount.option}" for mount in mounts]
        options += [f"--env={name}={value}" for name, value in values.items()]
        if not network:
            options.append("--network=none")
        # Low priority, so that a build of minutes does not make the machine unusable.
        command = ["nice", "-n", "10", "bash", "-euo", "pipefail", "-c", script]
        try:
            self.docker.execute(
                "run", "--rm", "--name", name, f"--label={LABEL}=build", f"--user={os.getuid()}:{os.getgid()}",
                *options, self.image, *command, what=what, log=self.logs / "build.log", view=self.view,
                how_far=how_far,
            )  # fmt: skip
        finally:
            self.docker.remove(name)  # exists only after an interrupted build
