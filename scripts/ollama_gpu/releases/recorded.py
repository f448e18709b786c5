"""Loads a recorded release as it was deployed: Terraform tree, variables, image and collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ollama_gpu.core.paths import Paths
from ollama_gpu.environment import settings as environments
from ollama_gpu.environment.context import Context
from ollama_gpu.releases import archive
from ollama_gpu.releases.records import Record
from ollama_gpu.releases.release import Release


def load(context: Context, record: Record) -> tuple[Context, Release]:
    """Return a context with the release's tree and variables, and the release. Raises UserError without the tree."""
    folder = context.paths.environment(context.environment.name) / "releases"
    tree = archive.unpack(archive.fetch(context, record.archive_sha256), folder)
    paths = Paths(tree, context.paths.work)
    recorded = replace(
        context,
        paths=paths,
        environment=environments.load(paths, context.environment.name),
        instance_settings=settings(record.instance, context.instance_settings),
    )
    release = Release(record.release, record.collection_sha256, record.open_webui, archive=None, image=record.image)
    return recorded, release


def settings(recorded: dict[str, Any] | None, current: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return Terraform's variable `instance`: recorded role variables, and the current endpoint of the local AWS."""
    if "endpoint_url" not in {**(recorded or {}), **(current or {})}:
        return recorded
    if not recorded or not current:
        return current  # the lab was started or removed since then
    return {**recorded, "endpoint_url": current["endpoint_url"]}
