"""The public sites that production downloads from, and which of them this machine reaches.

A closed network reaches package registries only. The lab then builds from their packages what it could not download.
"""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

PROBE_SECONDS = 3.0
"""For all sites together. A name server that does not answer would delay a request for much longer."""


MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_MOST_BYTES = 65_536


@dataclass(frozen=True)
class Sources:
    """``releases`` and ``models`` are URLs; ``images`` is the registry of ``debian``, as Docker names both."""

    releases: str = "https://github.com/ollama/ollama/releases/download"
    models: str = "https://registry.ollama.ai"
    images: str = "https://registry-1.docker.io"
    debian: str = "docker.io/library/debian"


@dataclass(frozen=True)
class Reachable:
    """Which sites answered. Nothing is reachable by default."""

    sources: Sources
    releases: bool = False
    models: bool = False
    images: bool = False

    def __str__(self) -> str:
        sites = {self.sources.releases: self.releases, self.sources.models: self.models}
        sites |= {self.sources.images: self.images}
        closed = ", ".join(site for site, answers in sites.items() if not answers)
        if not closed:
            return "all download sites of production answer: the lab downloads as production does"
        return f"no answer from {closed}: what they have is built from package registries instead"


@cache
def probe(
    sources: Sources, checksums: str, models: tuple[tuple[str, str], ...], seconds: float = PROBE_SECONDS
) -> Reachable:
    """Ask all sites at once, once per process. Takes ``seconds`` at most, however slow the sites are.

    A site is reachable if it has what production uses: ``releases`` the file ``checksums`` of a release, ``models`` the
    manifests of ``models`` (name and SHA-256). A page of a proxy has neither.
    """
    questions: dict[str, Callable[[], bool]] = {
        "releases": lambda: b"  ./" in _read(f"{sources.releases}/{checksums}", seconds),
        "models": lambda: all(
            hashlib.sha256(_read(manifest_address(sources.models, name), seconds)).hexdigest() == digest
            for name, digest in models
        ),
        "images": lambda: _is_registry(f"{sources.images}/v2/", seconds),
    }
    answers: dict[str, bool] = {}

    def ask(name: str) -> None:
        try:
            answers[name] = questions[name]()
        except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
            answers[name] = False

    # Daemons, because a thread that waits for a name server cannot be stopped.
    threads = [threading.Thread(target=ask, args=[name], daemon=True) for name in questions]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    found = dict(answers)
    return Reachable(sources, **{name: found.get(name, False) for name in questions})


def manifest_address(registry: str, name: str) -> str:
    """Return the address of a model's manifest."""
    model, _, tag = name.partition(":")
    return f"{registry}/v2/library/{model}/manifests/{tag}"


def _read(url: str, seconds: float) -> bytes:
    request = urllib.request.Request(url, headers={"Accept": MANIFEST})  # noqa: S310 - of this module or of a test
    with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
        return bytes(answer.read(_MOST_BYTES))


def _is_registry(url: str, seconds: float) -> bool:
    try:
        _read(url, seconds)
    except urllib.error.HTTPError as error:
        # A registry asks for a token. Proxies refuse with 403 or 407.
        return error.code == 401 and error.headers.get("Docker-Distribution-Api-Version") is not None
    return False
