"""Everything that the lab serves, made where it is missing, in the order in which one needs the other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView

from . import data, engine, front_door, handover, host_settings, image_build, images, mirror, recipe
from .builder import Builder
from .docker import Docker
from .handover import Supplies
from .host_settings import HostSettings
from .instances import metadata
from .mirror import Mirror
from .places import Places
from .stage import stage
from .supplies import embedding, go, model, ollama, open_webui, toolkit

ALL = "all"
PARTS = ("base", "data", "front-door", "metadata", "mirror", "ollama", "model", "toolkit", "open-webui")
"""What can be asked to be made anew, though it is there."""


@dataclass(frozen=True)
class _Workshop:
    """What each step works with; ``anew`` are the parts to make though they are there."""

    places: Places
    docker: Docker
    host: HostSettings
    view: ProgressView
    anew: Collection[str]

    @property
    def cache(self) -> Path:
        return self.places.cache

    def image(self, image: images.Image) -> str:
        return images.ensure(image, self.host, self.docker, self.places.logs, self.view, force=self.is_anew(image.name))

    def is_anew(self, part: str) -> bool:
        return part in self.anew or ALL in self.anew

    @cached_property
    def builder(self) -> Builder:
        """Compilers and a Go toolchain, fetched when first something is to be built."""
        image = self.image(images.BUILDER)
        if self.is_anew("go") or not go.folder(self.cache).is_dir():
            with stage(self.view, f"Go {go.VERSION}"):
                go.make(self.cache, self.places.logs, self.view)
        return Builder(self.docker, image, self.host, self.places.logs, self.view)


@dataclass(frozen=True)
class _Served:
    ollama: ollama.Release
    model: model.Store
    toolkit: toolkit.Repository

    @property
    def routes(self) -> dict[str, Path]:
        return {
            f"/ollama/v{ollama.VERSION}/": self.ollama.folder,
            "/models/": self.model.folder,
            "/apt/": self.toolkit.folder,
        }


def supply(places: Places, docker: Docker, view: ProgressView, anew: Collection[str] = ()) -> Supplies:
    """Make what is missing and what is asked ``anew``, serve it and write the hand-over.

    Raises UserError for a part that does not exist, and with the end of a log when a build fails; what was made
    before that stays.
    """
    unknown = sorted(set(anew) - {*PARTS, ALL})
    if unknown:
        raise UserError(f"There is no part {', '.join(unknown)}.", f"Parts are {', '.join(PARTS)} and {ALL}.", status=2)
    version = engine.ensure(docker, places.work, view)
    with recipe.exclusive(places.cache):
        shop = _Workshop(places, docker, host_settings.read(), view, anew)
        docker.ensure_network()
        base_image, data_image = shop.image(images.BASE), shop.image(data.IMAGE)
        shop.image(front_door.IMAGE)
        served = _serve(shop)
        registry = Mirror(docker, places.cache)
        registry.up(shop.image(mirror.IMAGE), served.routes, view)
        python = shop.image(images.PYTHON)
        pushed = _open_webui(shop, registry, python)
        image_build.write(_open_webui_base(shop, registry, python), shop.host, places.image_build)
        supplies = Supplies(
            engine=version,
            base_image=base_image,
            data_image=data_image,
            metadata_image=shop.image(metadata.IMAGE),
            ollama=served.ollama,
            model=served.model,
            toolkit=served.toolkit,
            open_webui=pushed,
        )
        handover.write(supplies, places.handover)
        return supplies


def _serve(shop: _Workshop) -> _Served:
    cache, view = shop.cache, shop.view
    release, store, repository = ollama.find(cache), model.find(cache), toolkit.find(cache)
    if release is None or shop.is_anew("ollama"):
        builder = shop.builder  # before the stage: it may have stages of its own
        with stage(view, f"Ollama {ollama.VERSION}"):
            release = ollama.make(cache, builder)
    if store is None or shop.is_anew("model"):
        builder = shop.builder  # before the stage: it may have stages of its own
        with stage(view, f"models {model.NAME} and {embedding.NAME}"):
            store = model.make(cache, builder, release)
    if repository is None or shop.is_anew("toolkit"):
        builder = shop.builder  # before the stage: it may have stages of its own
        with stage(view, f"Container Toolkit {toolkit.VERSION}"):
            repository = toolkit.make(cache, builder)
    return _Served(release, store, repository)


def _open_webui(shop: _Workshop, registry: Mirror, base: str) -> open_webui.PushedImage:
    wanted = open_webui.source(shop.places.collection)
    pushed = open_webui.find(shop.cache, wanted)
    anew = shop.is_anew("open-webui")
    if pushed is not None and registry.holds(pushed.name) and not anew:
        return pushed
    with stage(shop.view, f"Open WebUI {wanted.version}"):
        return open_webui.make(shop.cache, wanted, base, shop.host, registry, shop.places.logs, shop.view, force=anew)


def _open_webui_base(shop: _Workshop, registry: Mirror, base: str) -> str:
    """What a host makes Open WebUI's image from, as a container on the lab's network pulls it."""
    name = base.rpartition("/")[2]
    if not registry.holds(name) or shop.is_anew(images.PYTHON.name):  # made anew, it has the same tag
        registry.push(base, name, shop.places.logs / "open-webui-base.log", shop.view)
    return f"{mirror.REGISTRY}/{name}"
