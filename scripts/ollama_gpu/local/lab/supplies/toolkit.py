"""NVIDIA's Container Toolkit, built from its Go module with its own packaging, in a signed apt repository.

No package registry has its C part, libnvidia-container. The two packages of that name contain only a note. With them,
apt can resolve the toolkit's dependencies. The legacy mode does not work with them; CDI does not need them.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.local.lab import go_modules
from ollama_gpu.local.lab.build_cache import atomic_folder, file_digest, key
from ollama_gpu.local.lab.builder import Builder
from ollama_gpu.local.lab.go_modules import Module

from . import go

VERSION = "1.20.1"
KEY = "gpgkey"
_MODULE = Module(
    "github.com/NVIDIA/nvidia-container-toolkit", f"v{VERSION}", "h1:DsE0Pnu2XAl7IC00W2tmld7i/GerwnZGzRbmChj295Q="
)

_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Repository:
    """A flat apt repository. Its public key is the file ``gpgkey``, whose SHA-256 is ``key_digest``."""

    folder: Path
    key_digest: str


def folder(cache: Path) -> Path:
    """Return the folder of this version, whether it exists or not."""
    return cache / "apt" / f"{VERSION}-{key(_MODULE, _SCRIPT, go.VERSION, platform.machine())}"


def make(cache: Path, builder: Builder) -> Repository:
    """Build and pack the programs, and sign the repository with a key that is then discarded."""
    with atomic_folder(folder(cache)) as partial:
        what = f"Building NVIDIA's Container Toolkit {VERSION}"
        go_modules.build(builder, cache, (_MODULE,), _SCRIPT, partial, what, {"VERSION": VERSION}, "./cmd/...")
    return _read(folder(cache))


def find(cache: Path) -> Repository | None:
    """Return the repository in the cache, None if it does not exist."""
    where = folder(cache)
    return _read(where) if (where / "InRelease").is_file() else None


def _read(where: Path) -> Repository:
    return Repository(where, file_digest(where / "gpgkey"))
