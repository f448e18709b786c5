"""The data plane of ENV=local as the driver handles it: prepared before the plan, started before the apply.

What it consists of afterwards is the follower's work (`lab.follow`): instances, front door and stores appear and go as
the embedded AWS says.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ollama_gpu import models, role_variables
from ollama_gpu.bake import command as bake
from ollama_gpu.chat import Door
from ollama_gpu.context import Context
from ollama_gpu.paths import Paths

from . import handles, names, places, removal
from .docker import Docker
from .follower import Follower
from .front_door import ports
from .supplies import model

if TYPE_CHECKING:
    from .authority import Authority

BAKE_ONLY = ("model_store_models", "model_store_source")
"""A bake has the models from the lab's mirror, a boot from the artifact bucket and the environment's model set."""


@dataclass(frozen=True)
class Plane:
    """``folder`` has the follower's log and the authority that signs the stores' and the front door's certificates."""

    context: Context

    @property
    def folder(self) -> Path:
        return places.locate(self.context.paths).work / self.context.environment.name

    @property
    def follower(self) -> Follower:
        return Follower(self.folder)

    @property
    def door(self) -> Door:
        """Where users of ENV=local go."""
        return Door(f"https://127.0.0.1:{ports().https}", self.authority.certificate, direct=True)

    @property
    def authority(self) -> Authority:
        from . import authority  # loads the library of certificates: 9 MiB, which a deploy elsewhere never needs

        return authority.keep(self.folder / "authority")

    def prepare(self) -> dict[str, Any]:
        """Have the image and the models; returns what Terraform is to write into each instance's description."""
        bake.run(self.context, bake.Asked())
        supplied = role_variables.read(self.context.paths, self.context.environment)
        self._publish_models(supplied["lab_models"])
        endpoint = urlsplit(self.context.aws.endpoint or "")
        return {
            "endpoint_url": f"http://{names.AWS_NAME}:{endpoint.port}",
            "variables": {
                **{name: value for name, value in supplied.items() if name not in BAKE_ONLY},
                "boot_store_authorities": self.authority.certificate.read_text(encoding="utf-8"),
                "open_webui_url": self.door.url,
            },
        }

    def _publish_models(self, supplied: list[dict[str, str]]) -> None:
        """Where no set was published, the lab's own; a set that somebody chose stays."""
        context = self.context
        if models.published(context.environment, context.contract, context.aws) is not None:
            return
        made = model.find(places.locate(context.paths).cache)
        serving = role_variables.serving(context.paths, context.environment)
        store = models.store(made.folder if made else None)
        models.ModelSet(context.environment, context.contract, context.aws, serving, store).publish(supplied)

    def start(self) -> None:
        """From now on what the embedded AWS says is what runs on this machine."""
        handles.say_world(self.context.aws.endpoint or "", present=True)
        self.follower.start(self.context.environment.name)

    def leave(self) -> removal.Removed:
        """The fabric stays alone: as `end`, and nobody answers for instances and targets any more."""
        removed = self.end()
        handles.say_world(self.context.aws.endpoint or "", present=False)
        return removed

    def end(self) -> removal.Removed:
        """End the follower and remove what is the environment's own; `down` says what else goes."""
        return down(self.context.paths, self.context.contract.project, self.context.environment.name)


def down(paths: Paths, project: str, environment: str) -> removal.Removed:
    """End the follower and remove the environment's containers and volumes; what was built stays.

    The mirror and the network, which everybody on this machine shares, go with the last who uses them. A working folder
    that has never used the lab removes nothing.
    """
    folder = places.locate(paths).work / environment
    if not folder.exists():
        return removal.Removed()
    Follower(folder).stop()
    removed = removal.remove_environment(names.prefix_of(project, environment, paths), Docker())
    shutil.rmtree(folder, ignore_errors=True)
    return removed
