"""Gives each instance a volume with its image's Docker data, as EC2 gives an instance a root volume from a snapshot.

A container image cannot contain Docker's data, because overlay2 needs a volume, so a bake packs the data into an
archive. Unpacking it takes 10 to 25 s, which no EC2 instance spends. Here it is unpacked once for each image; an
instance's volume has the layers as hard links. Docker never changes a layer in place.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.docker import LABEL, Docker

ARCHIVE = "/var/lib/ollama-gpu/docker.tar.zst"
UNPACKED = ".ollama-gpu-unpacked"  # the mark of the image's unit ollama-gpu-docker-data, which then does nothing

_UNPACK = f"""
test -e /data/{UNPACKED} && exit 0
find /data -mindepth 1 -delete
tar --extract --zstd --xattrs --xattrs-include='*' --numeric-owner --file {ARCHIVE} --directory /data
touch /data/{UNPACKED}
"""
# Only layers are linked: Docker changes its databases in place. One mount, because links do not cross mounts.
_COPY = """
from=/volumes/$1/_data to=/volumes/$2/_data
cd "$from"
for each in $(ls -A); do
  case $each in overlay2) cp --archive --link "$each" "$to/" ;; *) cp --archive "$each" "$to/" ;; esac
done
"""


@dataclass
class DockerData:
    """The volumes of an environment's instances. ``prefix`` begins the name of each."""

    docker: Docker
    prefix: str
    _prepared: dict[str, str | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def prepare(self, image: str) -> str | None:
        """Unpack an image's data once; return the name of the volume with it, or None if the image has none."""
        with self._lock:
            if image not in self._prepared:
                self._prepared[image] = self._unpack(image)
            return self._prepared[image]

    def create(self, image: str, instance: str) -> str:
        """Create the volume of an instance and return its name. It is empty if the image has no data."""
        source, name = self.prepare(image), self.name(instance)
        self.remove(instance)  # of a start that failed
        self._create(name)
        if source is not None:
            root = self.docker.output("info", "--format", "{{.DockerRootDir}}")
            self._fill(name, image, f"{root}/volumes:/volumes", _COPY, source, name)
        return name

    def remove(self, instance: str) -> None:
        """Remove the volume of an instance, if it exists."""
        self.docker.output("volume", "rm", "--force", self.name(instance))

    def name(self, instance: str) -> str:
        """Return the name of an instance's volume."""
        return f"{self.prefix}-{instance}-docker"

    def _unpack(self, image: str) -> str | None:
        found = self.docker.image(image)
        if found is None:
            raise UserError(f"The container image {image} does not exist.", "Build it: ollama-gpu bake --env local")
        if not self.docker.succeeds(
            "run", "--rm", "--network=none", "--entrypoint=/usr/bin/test", image, "-e", ARCHIVE
        ):
            return None
        name = f"{self.prefix}-image-{found['Id'].removeprefix('sha256:')[:12]}-docker"
        self._create(name)
        self._fill(name, image, f"{name}:/data", _UNPACK)
        self._remove_others(name)
        return name

    def _remove_others(self, kept: str) -> None:
        """Remove the unpacked data of earlier images: 2 GB each. An instance that needs one again unpacks it again."""
        for name in self.docker.ours("volume"):
            if name.startswith(f"{self.prefix}-image-") and name != kept:
                self.docker.output("volume", "rm", "--force", name)
                self._prepared = {image: source for image, source in self._prepared.items() if source != name}

    def _create(self, name: str) -> None:
        self.docker.output("volume", "create", "--label", f"{LABEL}=volume", name)

    def _fill(self, name: str, image: str, volume: str, script: str, *arguments: str) -> None:
        """Run a script in a container with the lab's label, so that a removal of the lab finds what was interrupted."""
        own = ("--rm", f"--name={name}-fill", f"--label={LABEL}=volume", "--network=none", f"--volume={volume}")
        self.docker.output("run", *own, "--entrypoint=/bin/sh", image, "-ec", script, "sh", *arguments)
