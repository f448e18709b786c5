"""List and remove the images of the container engine, and list its builders."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_gpu.bake.builders import Builder
from ollama_gpu.core.errors import UserError

KEY_LABEL = "ollama-gpu.image-key"
MAKER_LABEL = "ollama-gpu.bake"
WORK_LABEL = "ollama-gpu.work"
REPOSITORY = "ollama-gpu/host"


@dataclass(frozen=True)
class ContainerImage:
    """A baked image. ``reference`` is name and tag, ``created`` sorts by time, ``work`` is the bake's work folder."""

    identifier: str
    reference: str
    key: str
    created: str
    work: str


def image_id(reference: str) -> str:
    """The id (a digest) of a named image. Raises UserError when the image does not exist."""
    try:
        return str(_json("image", "inspect", "--format", "{{json .Id}}", reference))
    except UserError as error:
        raise UserError(
            f"The base image {reference} was not found: {error.message}",
            "Build the base image with `ollama-gpu lab supply`, or set OLLAMA_GPU_BASE_IMAGE to another image.",
        ) from error


def baked() -> list[ContainerImage]:
    """All baked images, newest first."""
    identifiers = _run("image", "ls", "--quiet", "--no-trunc", "--filter", f"label={KEY_LABEL}", REPOSITORY).split()
    images = []
    for identifier in dict.fromkeys(identifiers):
        found = _json("image", "inspect", "--format", "{{json .}}", identifier)
        labels = found["Config"]["Labels"]
        images += [
            ContainerImage(identifier, tag, labels[KEY_LABEL], found["Created"], labels.get(WORK_LABEL, ""))
            for tag in found["RepoTags"] or []
        ]
    return sorted(images, key=lambda image: image.created, reverse=True)


def builders(environment: str, work: Path) -> list[Builder]:
    """Containers in which an image of this environment is or was being built. ``work`` identifies this checkout's."""
    # Filter by name, because an instance's container has the builder's labels, too: it inherits them from its image.
    lines = _run(
        "container", "ls", "--all", "--filter", f"name=^{builder_prefix(environment)}", "--format",
        f'{{{{.Names}}}}\t{{{{.Label "{MAKER_LABEL}"}}}}\t{{{{.Label "{WORK_LABEL}"}}}}\t.',
    ).splitlines()  # fmt: skip
    return [Builder(name, maker, owner == str(work)) for name, maker, owner, _ in (line.split("\t") for line in lines)]


def builder_prefix(environment: str) -> str:
    """The prefix of the names of an environment's builders."""
    return f"ollama-gpu-bake-{environment}-"


def remove_image(reference: str) -> bool:
    """Remove an image. Returns False when the engine refuses, because a container still uses the image."""
    try:
        _run("image", "rm", reference)
    except UserError:
        return False
    return True


def _json(*arguments: str) -> Any:
    return json.loads(_run(*arguments))


def _run(*arguments: str) -> str:
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    except OSError as error:
        raise UserError(
            f"docker cannot be run: {error.strerror}.", "Install Docker, or bake for another ENV."
        ) from error
    if done.returncode != 0:
        raise UserError(
            f"docker {arguments[0]} {arguments[1]}: {done.stderr.strip()}", "Check that Docker Engine runs."
        )
    return done.stdout.strip()
