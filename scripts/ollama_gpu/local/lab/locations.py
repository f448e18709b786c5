"""The lab's folders: build results are in the user's cache, this checkout's files in its work folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.core import collection
from ollama_gpu.core.paths import Paths


@dataclass(frozen=True)
class Locations:
    """All checkouts of this user share ``cache``; ``work`` and ``collection`` belong to this checkout."""

    cache: Path
    work: Path
    collection: Path

    @property
    def logs(self) -> Path:
        return self.work / "logs"

    @property
    def variables_file(self) -> Path:
        """The variables file that molecule and the bake load with ``-e @``."""
        return self.work / "supplies.yml"

    @property
    def image_build(self) -> Path:
        """The variables file of a host that builds Open WebUI's image itself, which is molecule's host."""
        return self.work / "image-build.yml"


def locate(paths: Paths, environment: Mapping[str, str] | None = None) -> Locations:
    """Return the lab's folders. The cache is ``$XDG_CACHE_HOME/ollama-gpu``, by default ``~/.cache/ollama-gpu``."""
    values = os.environ if environment is None else environment
    root = Path(values.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Locations(root / "ollama-gpu", paths.lab, collection.source(paths.repository))
