"""The container `mirror` on the lab's network, which serves the supplies: files by nginx, images by a registry."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.progress import ProgressView

from . import processes
from .build_cache import key
from .docker import LABEL, NETWORK, Docker
from .how_far import Layers
from .images import Image
from .progress_step import progress_step

NAME = "ollama-gpu-mirror"
ALIAS = "mirror"
ADDRESS = f"http://{ALIAS}"
REGISTRY = f"{ALIAS}:5000"
START_SECONDS = 20.0

_START = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")
_NGINX = Path(__file__).with_name("mirror-nginx.conf").read_text(encoding="utf-8")
_REGISTRY = Path(__file__).with_name("mirror-registry.yml").read_text(encoding="utf-8")

IMAGE = Image(
    "mirror",
    ("ca-certificates", "nginx-light", "docker-registry"),
    files=(
        ("usr/local/bin/mirror", _START),
        ("etc/lab/nginx.conf", _NGINX),
        ("etc/docker/registry/config.yml", _REGISTRY),
    ),
    changes=('CMD ["/bin/bash", "/usr/local/bin/mirror"]',),
    purpose="serves files and images to the instances",
)


@dataclass(frozen=True)
class Mirror:
    """The mirror of a cache folder."""

    docker: Docker
    cache: Path

    def up(self, image: str, routes: Mapping[str, Path], view: ProgressView) -> None:
        """Serve ``routes``, which map URL paths with a trailing slash to folders in the cache. Idempotent."""
        changed = self._write_routes(routes)
        wanted = key((self.docker.image(image) or {}).get("Id"), str(self.cache))
        found = self.docker.container(NAME)
        if found and found["State"]["Running"] and found["Config"]["Labels"].get(LABEL) == wanted:
            if changed:
                self.docker.output("exec", NAME, "nginx", "-c", "/etc/lab/nginx.conf", "-s", "reload")
        else:
            self._start(image, wanted)
        if not self.answers():
            remedy = f"See why with: docker logs {NAME}"
            with progress_step(view, "mirror"):
                processes.wait_for(self.answers, "the mirror to answer", START_SECONDS, remedy, view)

    def answers(self) -> bool:
        """Return whether both the file server and the registry answer."""
        files = self.docker.published(NAME, 80)
        return bool(files and _get(f"http://{files}/") and self.holds(None))

    def push_address(self) -> str | None:
        """Return the registry's address on this machine. Docker requires no TLS for loopback addresses."""
        return self.docker.published(NAME, 5000)

    def holds(self, image: str | None) -> bool:
        """Return whether the registry has an image (``name@sha256:...`` or ``name:tag``), or answers (with None)."""
        address = self.push_address()
        path = "" if image is None else re.sub("[@:]", "/manifests/", image, count=1)
        return bool(address and _get(f"http://{address}/v2/{path}"))

    def push(self, local: str, name: str, log: Path, view: ProgressView) -> str:
        """Push the engine's image ``local`` to the registry as ``name`` (``repository:tag``); return its digest.

        Raises UserError with the end of ``log`` when the registry does not run or rejects the image.
        """
        address = self.push_address()
        if address is None:
            raise UserError("The mirror's registry is not running.", "Start it: ollama-gpu lab supply")
        remote = f"{address}/{name}"
        self.docker.output("tag", local, remote)
        try:
            self.docker.execute("push", remote, what=f"Pushing {name}", log=log, view=view, how_far=Layers())
            known = (self.docker.image(local) or {}).get("RepoDigests", [])
        finally:
            self.docker.output("rmi", "--no-prune", remote)  # the port changes with every start of the mirror
        return str(next(each.partition("@")[2] for each in known if each.startswith(f"{address}/")))

    def _write_routes(self, routes: Mapping[str, Path]) -> bool:
        blocks = [
            f"  location {path} {{ alias /srv/cache/{folder.relative_to(self.cache)}/; }}\n"
            for path, folder in sorted(routes.items())
        ]
        text = (
            "server {\n  listen 80;\n  location = / { return 200 'mirror of ollama-gpu\\n'; }\n"
            + "".join(blocks)
            + "}\n"
        )
        file = self.cache / "mirror" / "routes.conf"
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return True

    def _start(self, image: str, wanted: str) -> None:
        registry = self.cache / "registry"
        registry.mkdir(parents=True, exist_ok=True)
        self.docker.remove(NAME)
        self.docker.ensure_network()
        self.docker.output(
            "run", "--detach", "--name", NAME, f"--label={LABEL}={wanted}", "--restart=unless-stopped",
            f"--network={NETWORK}", f"--network-alias={ALIAS}", "--publish=127.0.0.1::80", "--publish=127.0.0.1::5000",
            f"--volume={self.cache}:/srv/cache:ro", f"--volume={registry}:/srv/registry", image,
        )  # fmt: skip


def _get(address: str) -> bool:
    accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    request = urllib.request.Request(address, headers={"Accept": accept})  # noqa: S310 - http on loopback
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
