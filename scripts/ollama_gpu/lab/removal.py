"""Takes the lab away: what carries its label, and the cache when that is asked."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from ollama_gpu.errors import UserError

from . import mirror, names, recipe
from .docker import NETWORK, Docker
from .places import Places


@dataclass
class Removed:
    """Names of what is gone; ``kept`` says what is not, and why."""

    containers: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    cache: str | None = None
    kept: list[str] = field(default_factory=list)


def remove(places: Places, docker: Docker, cache: bool) -> Removed:
    """Remove the lab's containers, volumes and network; with ``cache`` its images and all that was built as well."""
    removed = Removed()
    if docker.version() is not None:
        _take("", docker, removed)
        for network in docker.ours("network"):
            _network(network, docker, removed)
        if cache:
            removed.images = docker.ours("image")
            for image in removed.images:
                docker.output("rmi", "--force", image)
    places.handover.unlink(missing_ok=True)
    places.image_build.unlink(missing_ok=True)
    if cache and places.cache.exists():
        with recipe.exclusive(places.cache):
            shutil.rmtree(places.cache)
        removed.cache = str(places.cache)
    return removed


def remove_environment(prefix: str, docker: Docker) -> Removed:
    """Remove containers, volumes and the network whose names begin so; the mirror too when nobody else is left."""
    removed = Removed()
    if docker.version() is None:
        return removed
    _take(f"{prefix}-", docker, removed)
    network = names.network(prefix)
    docker.leave(network, mirror.NAME)
    _network(network, docker, removed)
    others = set(docker.ours("network")) - {NETWORK}
    if not others and docker.on_network(NETWORK) <= {mirror.NAME}:
        _take(mirror.NAME, docker, removed)
        _network(NETWORK, docker, removed)
    return removed


def _take(beginning: str, docker: Docker, removed: Removed) -> None:
    """Remove the lab's containers, then its volumes, whose names begin so."""
    containers, volumes = (
        [name for name in docker.ours(kind) if name.startswith(beginning)] for kind in ("container", "volume")
    )
    docker.remove(*containers)
    for volume in volumes:
        docker.output("volume", "rm", volume)
    removed.containers += containers
    removed.volumes += volumes


def _network(name: str, docker: Docker, removed: Removed) -> None:
    if not docker.has_network(name):
        return
    try:
        docker.output("network", "rm", name)
        removed.networks.append(name)
    except UserError as error:
        # Somebody else's container is on it: theirs to end.
        removed.kept.append(f"network {name}: {error.message}")
