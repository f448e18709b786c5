"""Where the lab keeps things: results of builds in the user's cache, this checkout's own files in its work folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu import collection
from ollama_gpu.paths import Paths


@dataclass(frozen=True)
class Places:
    """``cache`` is shared by every checkout of this user; ``work`` and ``collection`` belong to this one."""

    cache: Path
    work: Path
    collection: Path

    @property
    def logs(self) -> Path:
        return self.work / "logs"

    @property
    def handover(self) -> Path:
        """The variables file that molecule and the bake load with ``-e @``."""
        return self.work / "supplies.yml"

    @property
    def image_build(self) -> Path:
        """The variables file of a host that makes Open WebUI's image itself: molecule's."""
        return self.work / "image-build.yml"


def locate(paths: Paths, environment: Mapping[str, str] | None = None) -> Places:
    """The lab's folders; the cache is ``$XDG_CACHE_HOME/ollama-gpu``, by default ``~/.cache/ollama-gpu``."""
    values = os.environ if environment is None else environment
    root = Path(values.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Places(root / "ollama-gpu", paths.work / "lab", collection.source(paths.repository))
