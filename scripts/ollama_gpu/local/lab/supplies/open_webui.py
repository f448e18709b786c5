"""Open WebUI's image, built from its role's Dockerfile and locked packages, and pushed to the mirror's registry."""

from __future__ import annotations

import json
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.build_cache import atomic_folder, folder_digests, key
from ollama_gpu.local.lab.docker import LABEL, Docker
from ollama_gpu.local.lab.host_settings import HostSettings
from ollama_gpu.local.lab.how_far import ImageBuild
from ollama_gpu.local.lab.mirror import REGISTRY, Mirror
from ollama_gpu.terraform.progress import ProgressView

_REPOSITORY = "open-webui"
_RECORD = "image.json"


@dataclass(frozen=True)
class Source:
    """The folder with the Dockerfile, the version of Open WebUI, and the key of the image."""

    folder: Path
    version: str
    key: str

    @property
    def local(self) -> str:
        """The image's name in the Docker Engine."""
        return f"ollama-gpu/{_REPOSITORY}:{self.key}"


@dataclass(frozen=True)
class PushedImage:
    """An image in the mirror's registry."""

    digest: str

    @property
    def name(self) -> str:
        """The image's name in the registry, with its digest."""
        return f"{_REPOSITORY}@{self.digest}"

    @property
    def address(self) -> str:
        """The image's address on the lab's network."""
        return f"{REGISTRY}/{self.name}"


def source(collection: Path) -> Source:
    """Return the role's definition of the image. Raises UserError when it has no version."""
    where = collection / "roles" / "open_webui" / "files" / "image"
    lock = where / "open-webui.lock"
    text = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    found = re.search(r"^open-webui==(\S+)", text, re.MULTILINE)
    if found is None:
        raise UserError(f"{lock} names no version of open-webui.", f"Restore the file: git checkout -- {lock}")
    return Source(where, found[1], key(folder_digests(where), platform.machine()))


def find(cache: Path, wanted: Source) -> PushedImage | None:
    """Return the image of the last push, None if there was none. Ask the mirror whether it still has the image."""
    record = _folder(cache, wanted) / _RECORD
    return PushedImage(json.loads(record.read_text(encoding="utf-8"))["digest"]) if record.is_file() else None


def make(
    cache: Path,
    wanted: Source,
    base: str,
    host: HostSettings,
    mirror: Mirror,
    logs: Path,
    view: ProgressView,
    force: bool,
) -> PushedImage:
    """Build the image (2 minutes) if the engine does not have it or with ``force``, and push it to the mirror."""
    docker, log = mirror.docker, logs / "open-webui.log"
    if force or docker.image(wanted.local) is None:
        _build(wanted, base, host, docker, log, view)
    digest = mirror.push(wanted.local, f"{_REPOSITORY}:{wanted.key}", log, view)
    with atomic_folder(_folder(cache, wanted)) as partial:
        (partial / _RECORD).write_text(json.dumps({"digest": digest, "version": wanted.version}) + "\n")
    return PushedImage(digest)


def _build(wanted: Source, base: str, host: HostSettings, docker: Docker, log: Path, view: ProgressView) -> None:
    arguments = {**host.build_arguments(), "BASE": base}
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-open-webui-") as scratch:
        context = Path(scratch) / "context"
        shutil.copytree(wanted.folder, context)
        host.write_certificates(context / "certificates")
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        # No cached layers, because a rebuild should get current packages.
        docker.execute(
            "build", "--no-cache", "--force-rm", f"--label={LABEL}=image", f"--tag={wanted.local}", *options,
            str(context),
            what=f"Building Open WebUI {wanted.version}", log=log, view=view, how_far=ImageBuild(),
        )  # fmt: skip


def _folder(cache: Path, wanted: Source) -> Path:
    return cache / "open-webui" / f"{wanted.version}-{wanted.key}"
