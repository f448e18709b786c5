"""The container engine's part of a bake: which images and builders it has. Only reads, and removes old images."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ollama_gpu.bake.builders import Builder
from ollama_gpu.errors import UserError

KEY_LABEL = "ollama-gpu.image-key"
MAKER_LABEL = "ollama-gpu.bake"
WORK_LABEL = "ollama-gpu.work"
REPOSITORY = "ollama-gpu/host"


@dataclass(frozen=True)
class ContainerImage:
    """A baked image: ``reference`` is its name and tag, ``created`` sorts by time, ``work`` is the maker's folder."""

    identifier: str
    reference: str
    key: str
    created: str
    work: str


def image_id(reference: str) -> str:
    """The id (a digest) behind an image's name. Raises UserError when there is no such image."""
    try:
        return str(_json("image", "inspect", "--format", "{{json .Id}}", reference))
    except UserError as error:
        raise UserError(
            f"There is no container image {reference} to bake from: {error.message}",
            "Make the base image with `ollama-gpu lab supply`, or name one in OLLAMA_GPU_BASE_IMAGE.",
        ) from error


def baked() -> list[ContainerImage]:
    """Every baked image, newest first."""
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
    """Containers in which an image of this environment is, or was, being made; ``work`` tells whose are ours."""
    # By name as well: a container that an instance is inherits the labels of its image, which was a builder once.
    lines = _run(
        "container", "ls", "--all", "--filter", f"name=^{builder_prefix(environment)}", "--format",
        f'{{{{.Names}}}}\t{{{{.Label "{MAKER_LABEL}"}}}}\t{{{{.Label "{WORK_LABEL}"}}}}\t.',
    ).splitlines()  # fmt: skip
    return [Builder(name, maker, owner == str(work)) for name, maker, owner, _ in (line.split("\t") for line in lines)]


def builder_prefix(environment: str) -> str:
    """The first part of the name of every builder of an environment."""
    return f"ollama-gpu-bake-{environment}-"


def remove_image(reference: str) -> bool:
    """Remove an image; False when the engine refuses because a container still uses it."""
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
        raise UserError(f"docker cannot be run: {error.strerror}.", "Install Docker, or bake another ENV.") from error
    if done.returncode != 0:
        raise UserError(f"docker {arguments[0]} {arguments[1]}: {done.stderr.strip()}", "Is the Docker Engine running?")
    return done.stdout.strip()
