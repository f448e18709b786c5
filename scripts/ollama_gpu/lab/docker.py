"""The container engine as the lab uses it: Docker's command line, asked one question at a time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView
from ollama_gpu.waiting import wait_until

from . import execution

LABEL = "ollama-gpu.lab"
"""On every image, container and volume that the lab makes; ``lab down`` removes what has it and nothing else."""

NETWORK = "ollama-gpu-lab"
"""Of what all environments share: the mirror, and who is built or tried without an environment."""


REMOVAL_SECONDS = 60.0
"""Until a container is gone whose removal has begun: its processes are killed, its volumes deleted."""


class Docker:
    """Docker's command line. Nothing is remembered: what a method returns is what the engine says now."""

    def version(self) -> str | None:
        """The engine's version, None when no engine answers."""
        return self._ask("version", "--format", "{{.Server.Version}}")

    def why_not(self) -> str:
        """What the command line says when the engine does not answer; empty when it does."""
        try:
            ran = subprocess.run(["docker", "version"], capture_output=True, text=True, env=_environment())
        except FileNotFoundError:
            return "the program docker is not installed"
        return "" if ran.returncode == 0 else (ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1]

    def image(self, reference: str) -> dict[str, Any] | None:
        """What the engine knows of an image, None when it has none by that name."""
        return self._inspect("image", reference)

    def container(self, name: str) -> dict[str, Any] | None:
        """What the engine knows of a container, running or not."""
        return self._inspect("container", name)

    def running(self, name: str) -> bool:
        """Does the container exist and run?"""
        found = self.container(name)
        return bool(found and found["State"]["Running"])

    def published(self, container: str, port: int) -> str | None:
        """The local ``address:port`` at which a container's port answers, None when it is not published."""
        answer = self._ask("port", container, str(port))
        return answer.splitlines()[0] if answer else None

    def ours(self, kind: str) -> list[str]:
        """Names of what carries the lab's label: ``container``, ``network``, ``volume`` or ``image``."""
        listing = {
            "container": ("ps", "--all", "--format", "{{.Names}}"),
            "network": ("network", "ls", "--format", "{{.Name}}"),
            "volume": ("volume", "ls", "--format", "{{.Name}}"),
            "image": ("images", "--format", "{{.Repository}}:{{.Tag}}"),
        }[kind]
        return [name for name in self.output(*listing, "--filter", f"label={LABEL}").split() if "<none>" not in name]

    def has_network(self, name: str) -> bool:
        """Is there a network of that name?"""
        return self._inspect("network", name) is not None

    def ensure_network(self, name: str = NETWORK) -> None:
        """Make the lab's network when it is not there."""
        if not self.has_network(name):
            self.output("network", "create", "--label", f"{LABEL}=network", name)

    def join(self, name: str, container: str, alias: str) -> None:
        """Let a running container answer on one more network as ``alias``; nothing where it does so already."""
        if self.running(container) and container not in self.on_network(name):
            self.output("network", "connect", f"--alias={alias}", name, container)

    def leave(self, name: str, container: str) -> None:
        """Take a container off a network that it is on."""
        if container in self.on_network(name):
            self.output("network", "disconnect", "--force", name, container)

    def on_network(self, name: str = NETWORK) -> set[str]:
        """Names of the running containers on a network; none where there is no such network."""
        found = self._inspect("network", name)
        return {each["Name"] for each in (found or {}).get("Containers", {}).values()}

    def gateway(self, name: str = NETWORK) -> str:
        """The address by which a network's containers reach this machine. Raises UserError without the network."""
        found = self._inspect("network", name)
        gateways = [each["Gateway"] for each in found["IPAM"]["Config"] if each.get("Gateway")] if found else []
        if not gateways:
            raise UserError(f"There is no network {name} with a gateway.", "Make it with: ollama-gpu lab supply")
        return str(gateways[0])

    def output(self, *arguments: str, text: str | None = None) -> str:
        """What a short command prints, given ``text`` on its standard input; UserError with its words when it fails."""
        ran = subprocess.run(["docker", *arguments], input=text, capture_output=True, text=True, env=_environment())
        if ran.returncode:
            raise UserError(
                f"`docker {' '.join(arguments[:3])}` failed: {ran.stderr.strip() or ran.returncode}",
                "Put that right and run the command again.",
            )
        return ran.stdout.strip()

    def succeeds(self, *arguments: str) -> bool:
        """Did a short command end with status 0?"""
        return self._ask(*arguments) is not None

    def execute(self, *arguments: str, what: str, log: Path, view: ProgressView) -> None:
        """Run a long command; see `execution.execute`."""
        execution.execute(["docker", *arguments], what, log, view, _environment())

    def remove(self, *containers: str) -> None:
        """Remove containers with the anonymous volumes that they had; one that is not there is no error."""
        for name in containers:
            if self.container(name) is not None:
                self._remove(name)

    def _remove(self, name: str) -> None:
        try:
            self.output("rm", "--force", "--volumes", name)
        except UserError as error:
            if "already in progress" not in error.message:
                raise
            # somebody else removes it just now, whose removal is as good
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
    # Debian 12's Docker has no buildx; asked for it by an inherited setting, `docker build` would refuse.
    return {**os.environ, "DOCKER_BUILDKIT": "0"}
