"""Removes the lab: everything with its label, and the cache on request."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from ollama_gpu.core.errors import UserError

from . import build_cache, mirror, names
from .docker import NETWORK, Docker
from .locations import Locations


@dataclass
class Removed:
    """Names of removed objects; ``kept`` has the objects that could not be removed, with the reasons."""

    containers: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    cache: str | None = None
    kept: list[str] = field(default_factory=list)


def remove(locations: Locations, docker: Docker, cache: bool) -> Removed:
    """Remove the lab's containers, volumes and networks; with ``cache`` also its images and build results."""
    removed = Removed()
    if docker.version() is not None:
        _remove_containers("", docker, removed)
        for network in docker.ours("network"):
            _remove_network(network, docker, removed)
        if cache:
            removed.images = docker.ours("image")
            for image in removed.images:
                docker.output("rmi", "--force", image)
    locations.variables_file.unlink(missing_ok=True)
    locations.image_build.unlink(missing_ok=True)
    if cache and locations.cache.exists():
        with build_cache.locked(locations.cache):
            shutil.rmtree(locations.cache)
        removed.cache = str(locations.cache)
    return removed


def remove_environment(prefix: str, docker: Docker) -> Removed:
    """Remove an environment's containers, volumes and network. The last environment also removes the mirror."""
    removed = Removed()
    if docker.version() is None:
        return removed
    _remove_containers(f"{prefix}-", docker, removed)
    network = names.network(prefix)
    docker.leave(network, mirror.NAME)
    _remove_network(network, docker, removed)
    others = set(docker.ours("network")) - {NETWORK}
    if not others and docker.on_network(NETWORK) <= {mirror.NAME}:
        _remove_containers(mirror.NAME, docker, removed)
        _remove_network(NETWORK, docker, removed)
    return removed


def _remove_containers(prefix: str, docker: Docker, removed: Removed) -> None:
    """Remove the lab's containers, then its volumes, whose names begin with ``prefix``."""
    containers, volumes = (
        [name for name in docker.ours(kind) if name.startswith(prefix)] for kind in ("container", "volume")
    )
    docker.remove(*containers)
    for volume in volumes:
        docker.output("volume", "rm", volume)
    removed.containers += containers
    removed.volumes += volumes


def _remove_network(name: str, docker: Docker, removed: Removed) -> None:
    if not docker.has_network(name):
        return
    try:
        docker.output("network", "rm", name)
        removed.networks.append(name)
    except UserError as error:
        # A container that is not the lab's is on the network.
        removed.kept.append(f"network {name}: {error.message}")
