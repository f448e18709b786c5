"""The lab of ENV=local, as the deploy controls it: started before the apply, stopped by destroy.

While it runs, the follower (`lab.follow`) creates and removes containers as the embedded AWS creates and removes
instances, a load balancer and data stores.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ollama_gpu.core.chat import ChatAddress
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment.context import Context

from . import control_client, locations, names, removal
from .docker import Docker
from .follower import Follower
from .front_door import ports

if TYPE_CHECKING:
    from .authority import Authority


@dataclass(frozen=True)
class Lab:
    """``folder`` has the follower's log and the authority that signs the stores' and the front door's certificates."""

    context: Context

    @property
    def folder(self) -> Path:
        return locations.locate(self.context.paths).work / self.context.environment.name

    @property
    def follower(self) -> Follower:
        return Follower(self.folder)

    @property
    def chat_address(self) -> ChatAddress:
        """The address of the chat in ENV=local."""
        return ChatAddress(f"https://127.0.0.1:{ports().https}", self.authority.certificate, direct=True)

    @property
    def authority(self) -> Authority:
        from . import authority  # loads cryptography (9 MiB), which a deploy to AWS never needs

        return authority.ensure(self.folder / "authority")

    def start(self) -> None:
        """Start the follower, which runs on this machine what the embedded AWS describes."""
        control_client.set_lab_present(self.context.aws.endpoint or "", present=True)
        self.follower.start(self.context.environment.name)

    def leave(self) -> removal.Removed:
        """Stop the lab but keep the fabric: as `end`, and the embedded AWS answers for instances and targets again."""
        removed = self.end()
        control_client.set_lab_present(self.context.aws.endpoint or "", present=False)
        return removed

    def end(self) -> removal.Removed:
        """Stop the follower and remove the environment's containers and volumes. See `down`."""
        return down(self.context.paths, self.context.contract.project, self.context.environment.name)


def down(paths: Paths, project: str, environment: str) -> removal.Removed:
    """Stop the follower and remove the environment's containers and volumes. Built images and supplies stay.

    The last environment also removes the mirror and the network, which all environments on this machine share. A
    working folder that has never used the lab removes nothing.
    """
    folder = locations.locate(paths).work / environment
    if not folder.exists():
        return removal.Removed()
    Follower(folder).stop()
    removed = removal.remove_environment(names.prefix_of(project, environment, paths), Docker())
    shutil.rmtree(folder, ignore_errors=True)
    return removed
