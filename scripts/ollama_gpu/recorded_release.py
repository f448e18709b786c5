"""A recorded release as it was deployed: its own Terraform tree and variables, its image and collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ollama_gpu import environments, release_archive
from ollama_gpu.context import Context
from ollama_gpu.paths import Paths
from ollama_gpu.release_records import Record
from ollama_gpu.releases import Release


def of(context: Context, record: Record) -> tuple[Context, Release]:
    """The context with that release's tree and variables, and what it brings. UserError when its tree is gone."""
    folder = context.paths.environment(context.environment.name) / "releases"
    tree = release_archive.unpack(release_archive.fetch(context, record.archive_sha256), folder)
    paths = Paths(tree, context.paths.work)
    past = replace(
        context,
        paths=paths,
        environment=environments.load(paths, context.environment.name),
        instance_settings=settings(record.instance, context.instance_settings),
    )
    release = Release(record.release, record.collection_sha256, record.open_webui, archive=None, image=record.image)
    return past, release


def settings(then: dict[str, Any] | None, now: dict[str, Any] | None) -> dict[str, Any] | None:
    """Terraform's variable `instance`: the roles' variables of then; where ENV=local's AWS answers is of now."""
    if "endpoint_url" not in {**(then or {}), **(now or {})}:
        return then
    if not then or not now:
        return now  # the lab has come or gone since
    return {**then, "endpoint_url": now["endpoint_url"]}
