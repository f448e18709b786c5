"""The container engine of the lab, through Docker's command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.waiting import wait_until
from ollama_gpu.terraform.progress import ProgressView

from . import processes
from .how_far import HowFar

LABEL = "ollama-gpu.lab"
"""Label of every image, container and volume of the lab. ``lab down`` removes only what has it."""

NETWORK = "ollama-gpu-lab"
"""Network of the mirror, which all environments share, and of builds and tests without an environment."""


REMOVAL_SECONDS = 60.0
"""Timeout of a removal that has begun: Docker kills the container's processes and deletes its volumes."""


class Docker:
    """Docker's command line. Caches nothing: each method asks the engine."""

    def version(self) -> str | None:
        """Return the engine's version, None when no engine answers."""
        return self._ask("version", "--format", "{{.Server.Version}}")

    def why_not(self) -> str:
        """Return the command line's error when the engine does not answer; empty when it does."""
        try:
            ran = subprocess.run(["docker", "version"], capture_output=True, text=True, env=_environment())
        except FileNotFoundError:
            return "the program docker is not installed"
        return "" if ran.returncode == 0 else (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return `docker image inspect` for an image, None if it does not exist."""
        return self._inspect("image", reference)

    def container(self, name: str) -> dict[str, Any] | None:
        """Return `docker container inspect` for a container, running or not; None if it does not exist."""
        return self._inspect("container", name)

    def running(self, name: str) -> bool:
        """Return whether the container exists and runs."""
        found = self.container(name)
        return bool(found and found["State"]["Running"])

    def published(self, container: str, port: int) -> str | None:
        """Return the local ``address:port`` of a container's port, None when it is not published."""
        answer = self._ask("port", container, str(port))
        return answer.splitlines()[0] if answer else None

    def ours(self, kind: str) -> list[str]:
        """Return the names of objects with the lab's label; ``kind`` is container, network, volume or image."""
        listing = {
            "container": ("ps", "--all", "--format", "{{.Names}}"),
            "network": ("network", "ls", "--format", "{{.Name}}"),
            "volume": ("volume", "ls", "--format", "{{.Name}}"),
            "image": ("images", "--format", "{{.Repository}}:{{.Tag}}"),
        }[kind]
        return [name for name in self.output(*listing, "--filter", f"label={LABEL}").split() if "<none>" not in name]

    def has_network(self, name: str) -> bool:
        """Return whether there is a network of that name."""
        return self._inspect("network", name) is not None

    def ensure_network(self, name: str = NETWORK) -> None:
        """Create the network if it does not exist."""
        if not self.has_network(name):
            self.output("network", "create", "--label", f"{LABEL}=network", name)

    def join(self, name: str, container: str, alias: str) -> None:
        """Connect a running container to one more network as ``alias``, unless it is connected."""
        if self.running(container) and container not in self.on_network(name):
            self.output("network", "connect", f"--alias={alias}", name, container)

    def leave(self, name: str, container: str) -> None:
        """Disconnect a container from a network, if it is connected."""
        if container in self.on_network(name):
            self.output("network", "disconnect", "--force", name, container)

    def on_network(self, name: str = NETWORK) -> set[str]:
        """Return the names of the running containers on a network; none if the network does not exist."""
        found = self._inspect("network", name)
        return {each["Name"] for each in (found or {}).get("Containers", {}).values()}

    def gateway(self, name: str = NETWORK) -> str:
        """Return the address at which a network's containers reach this machine. Raises UserError without a network."""
        found = self._inspect("network", name)
        gateways = [each["Gateway"] for each in found["IPAM"]["Config"] if each.get("Gateway")] if found else []
        if not gateways:
            raise UserError(f"There is no network {name} with a gateway.", "Create it: ollama-gpu lab supply")
        return str(gateways[0])

    def output(self, *arguments: str, text: str | None = None) -> str:
        """Run a short command with ``text`` on standard input; return its output. Raises UserError with its error."""
        ran = subprocess.run(["docker", *arguments], input=text, capture_output=True, text=True, env=_environment())
        if ran.returncode:
            raise UserError(
                f"`docker {' '.join(arguments[:3])}` failed: {ran.stderr.strip() or ran.returncode}",
                "Fix the cause and run the command again.",
            )
        return ran.stdout.strip()

    def succeeds(self, *arguments: str) -> bool:
        """Run a short command; return whether its exit status is 0."""
        return self._ask(*arguments) is not None

    def execute(self, *arguments: str, what: str, log: Path, view: ProgressView, how_far: HowFar | None = None) -> None:
        """Run a long command. See `processes.execute`."""
        processes.execute(["docker", *arguments], what, log, view, _environment(), how_far)

    def remove(self, *containers: str) -> None:
        """Remove containers and their anonymous volumes. A container that does not exist is no error."""
        for name in containers:
            if self.container(name) is not None:
                self._remove(name)

    def _remove(self, name: str) -> None:
        try:
            self.output("rm", "--force", "--volumes", name)
        except UserError as error:
            if "already in progress" not in error.message:
                raise
            # another process is removing it: wait for the end of that removal
            wait_until(lambda: self.container(name) is None, f"the end of the container {name}", REMOVAL_SECONDS)

    def _inspect(self, kind: str, name: str) -> dict[str, Any] | None:
        answer = self._ask(kind, "inspect", name)
        found: list[dict[str, Any]] = json.loads(answer) if answer else []
        return found[0] if found else None

    def _ask(self, *arguments: str) -> str | None:
        try:
            ran = subprocess.run(["docker", *arguments], capture_output=True, text=True, env=_environment())
        except FileNotFoundError:
            return None
        return ran.stdout.strip() if ran.returncode == 0 else None


def _environment() -> Mapping[str, str]:
    # Debian 12's Docker has no buildx: `docker build` fails if an inherited setting requires it.
    return {**os.environ, "DOCKER_BUILDKIT": "0"}
