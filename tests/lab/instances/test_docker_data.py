"""Each instance has its image's Docker data in a volume: layers shared as hard links, databases its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from ollama_gpu.local.lab import images
from ollama_gpu.local.lab.docker import LABEL, Docker
from ollama_gpu.local.lab.instances.docker_data import ARCHIVE, UNPACKED, DockerData

# An image with an archive as a bake packs it: one layer and one database.
DOCKERFILE = f"""
FROM {images.BUILDER.latest}
LABEL {LABEL}=image
RUN mkdir -p /data/overlay2/a/diff $(dirname {ARCHIVE}) \
 && echo layer > /data/overlay2/a/diff/file && echo database > /data/network.db \
 && tar --create --directory /data --file - . | zstd --quiet -o {ARCHIVE}
"""


@pytest.fixture
def docker_data() -> Iterator[DockerData]:
    docker = Docker()
    found = DockerData(docker, f"ollama-gpu-test-{uuid.uuid4().hex[:8]}")
    yield found
    for volume in docker.ours("volume"):
        if volume.startswith(found.prefix):
            docker.output("volume", "rm", volume)


@pytest.fixture
def image(docker_data: DockerData) -> Iterator[str]:
    reference = f"{docker_data.prefix}:latest"
    docker_data.docker.output("build", "--quiet", f"--tag={reference}", "-", text=DOCKERFILE)
    yield reference
    docker_data.docker.output("rmi", reference)


def inside(docker_data: DockerData, volume: str, script: str) -> str:
    mount = f"--volume={volume}:/data"
    return docker_data.docker.output("run", "--rm", mount, images.BUILDER.latest, "sh", "-ec", f"cd /data; {script}")


def test_instances_share_layers_and_nothing_else(docker_data: DockerData, image: str) -> None:
    first, second = (docker_data.create(image, instance) for instance in ("i-1", "i-2"))
    assert inside(docker_data, first, "cat overlay2/a/diff/file network.db") == "layer\ndatabase"
    assert inside(docker_data, first, "stat --format %h overlay2/a/diff/file network.db") == "3\n1"
    inside(docker_data, first, "echo changed >> network.db")
    assert inside(docker_data, second, f"cat network.db; test -e {UNPACKED}") == "database"

    docker_data.remove("i-1")
    assert first not in docker_data.docker.ours("volume")
    assert inside(docker_data, second, "cat overlay2/a/diff/file") == "layer"


def test_image_without_data_gives_an_empty_volume(docker_data: DockerData) -> None:
    assert inside(docker_data, docker_data.create(images.BUILDER.latest, "i-1"), "ls -A") == ""


def test_interrupted_unpacking_is_done_again(docker_data: DockerData, image: str) -> None:
    prepared = docker_data.prepare(image)
    assert prepared
    inside(docker_data, prepared, f"rm -r {UNPACKED} overlay2; echo part > part")
    again = DockerData(docker_data.docker, docker_data.prefix)
    assert inside(docker_data, again.create(image, "i-1"), "cat overlay2/a/diff/file; ls -A") == (
        f"layer\n{UNPACKED}\nnetwork.db\noverlay2"
    )


def test_unpacked_data_of_an_earlier_image_is_removed(docker_data: DockerData, image: str) -> None:
    old = docker_data.prepare(image)
    docker_data.docker.output("build", "--quiet", f"--tag={image}-new", "-", text=f"{DOCKERFILE}RUN true\n")
    new = docker_data.prepare(f"{image}-new")
    docker_data.docker.output("rmi", f"{image}-new")
    assert [name for name in docker_data.docker.ours("volume") if name.startswith(docker_data.prefix)] == [new]
    assert old != new
