"""NVIDIA's Container Toolkit, built from its Go module and packed by its own packaging, in a signed apt repository.

Its C half, libnvidia-container, is in no package registry. The two packages of that name hold a note and no program:
enough for apt to resolve what the toolkit depends on, useless for the legacy mode, which CDI does not need.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.lab import go_modules
from ollama_gpu.lab.builder import Builder
from ollama_gpu.lab.go_modules import Module
from ollama_gpu.lab.recipe import file_digest, key, making

from . import go

VERSION = "1.20.1"
KEY = "gpgkey"
_MODULE = Module(
    "github.com/NVIDIA/nvidia-container-toolkit", f"v{VERSION}", "h1:DsE0Pnu2XAl7IC00W2tmld7i/GerwnZGzRbmChj295Q="
)

_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Repository:
    """A flat apt repository; its public key is the file ``gpgkey`` in it, ``key_digest`` is that file's (sha256)."""

    folder: Path
    key_digest: str


def folder(cache: Path) -> Path:
    """Where this version lies, there or not."""
    return cache / "apt" / f"{VERSION}-{key(_MODULE, _SCRIPT, go.VERSION, platform.machine())}"


def make(cache: Path, builder: Builder) -> Repository:
    """Build the programs, pack them, sign the repository with a key that nobody keeps."""
    with making(folder(cache)) as partial:
        what = f"Building NVIDIA's Container Toolkit {VERSION}"
        go_modules.build(builder, cache, (_MODULE,), _SCRIPT, partial, what, {"VERSION": VERSION})
    return _read(folder(cache))


def find(cache: Path) -> Repository | None:
    """What lies in the cache, None when it has not been made."""
    where = folder(cache)
    return _read(where) if (where / "InRelease").is_file() else None


def _read(where: Path) -> Repository:
    return Repository(where, file_digest(where / "gpgkey"))
