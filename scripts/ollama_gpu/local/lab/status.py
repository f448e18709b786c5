"""The state of the lab. Read-only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import data, front_door, host_settings, images, mirror, variables_file
from .docker import Docker
from .host_settings import HostSettings
from .instances import metadata
from .locations import Locations
from .mirror import Mirror
from .supplies import go, model, ollama, open_webui, toolkit


def read(locations: Locations, docker: Docker) -> dict[str, Any]:
    """Return engine, images, supplies, mirror, containers and the variables file. What does not exist is None."""
    engine = docker.version()
    return {
        "engine": engine,
        "cache": {"folder": str(locations.cache), "bytes": _size(locations.cache)},
        "images": _images(docker, host_settings.read()) if engine else {},
        "supplies": _supplies(locations),
        "mirror": _mirror(Mirror(docker, locations.cache)) if engine else None,
        "containers": docker.ours("container") if engine else [],
        "variables_file": {
            "file": str(locations.variables_file),
            "variables": variables_file.read(locations.variables_file),
        },
    }


def _images(docker: Docker, host: HostSettings) -> dict[str, Any]:
    wanted = (images.BASE, data.IMAGE, front_door.IMAGE, metadata.IMAGE, mirror.IMAGE, images.BUILDER, images.PYTHON)
    return {image.name: _image(docker, image.reference(host)) for image in wanted}


def _image(docker: Docker, reference: str) -> dict[str, Any] | None:
    found = docker.image(reference)
    return {"reference": reference, "bytes": found["Size"], "created": found["Created"]} if found else None


def _supplies(locations: Locations) -> dict[str, Any]:
    cache = locations.cache
    release, store, repository = ollama.find(cache), model.find(cache), toolkit.find(cache)
    wanted = open_webui.source(locations.collection)
    pushed = open_webui.find(cache, wanted)
    toolchain = go.folder(cache)
    return {
        "go": _supply(go.VERSION, None, toolchain) if toolchain.is_dir() else None,
        "ollama": _supply(ollama.VERSION, f"sha256:{release.digest}", release.folder) if release else None,
        "model": _supply(", ".join(store.digests), store.digests[model.NAME], store.folder) if store else None,
        "toolkit": _supply(toolkit.VERSION, None, repository.folder) if repository else None,
        "open_webui": _supply(wanted.version, pushed.digest, None) if pushed else None,
    }


def _supply(version: str, digest: str | None, folder: Path | None) -> dict[str, Any]:
    return {"version": version, "digest": digest, "bytes": _size(folder) if folder else None}


def _mirror(served: Mirror) -> dict[str, Any] | None:
    if not served.docker.running(mirror.NAME):
        return None
    files = served.docker.published(mirror.NAME, 80)
    return {
        "answers": served.answers(),
        "inside": {"files": mirror.ADDRESS, "registry": mirror.REGISTRY},
        "here": {"files": f"http://{files}" if files else None, "registry": served.push_address()},
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
