"""A real Ollama: the official release, or built from its Go module and packed like it, with its checksum file.

The build needs the last series of versions with a compiled-in CPU engine. From 0.30 on, Ollama needs a separate
`llama-server`, which no package registry has.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import yaml

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab import download as download_file
from ollama_gpu.local.lab import go_modules
from ollama_gpu.local.lab.build_cache import atomic_folder, key
from ollama_gpu.local.lab.builder import Builder
from ollama_gpu.local.lab.go_modules import Module
from ollama_gpu.terraform.progress import ProgressView

from . import go

VERSION = "0.24.0"
CHECKSUMS = "sha256sum.txt"
_BUILT, _OFFICIAL = f"ollama/v{VERSION}", f"ollama/official/v{VERSION}"  # one URL must not have two contents
_MODULE = Module("github.com/ollama/ollama", f"v{VERSION}", "h1:CBZ0ffE+cxMWRWau5yD5vXHkiZHAeuxLk+3j55u0XxQ=")
# The module's archive omits folders named `vendor`, so three sets of headers are missing. Debian has two of them (in
# the builder's image), and this Go module has the third.
_MINIAUDIO = Module("github.com/gen2brain/malgo", "v0.11.24", "h1:hHcIJVfzWcEDHFdPl5Dl/CUSOjzOleY0zzAV8Kx+imE=")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_LAB_BUILD = f"""Ollama {VERSION}, built by ollama-gpu's lab from the Go module {_MODULE.path}@{_MODULE.version}.
Its engine for the CPU is in bin/ollama; the official release has the libraries for GPUs here.
"""

_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Release:
    """An archive: its name and digest. ``path`` is its place in the mirror's URLs."""

    folder: Path
    archive: str
    digest: str
    path: str


def folder(cache: Path) -> Path:
    """Return the folder of this version, whether it exists or not."""
    return cache / "ollama" / f"{VERSION}-{key(_MODULE, _MINIAUDIO, _SCRIPT, _LAB_BUILD, _flags(), go.VERSION)}"


def official_folder(cache: Path) -> Path:
    """Return the folder of the official release of this version, whether it exists or not."""
    return cache / "ollama" / f"{VERSION}-official"


def routes(cache: Path) -> dict[str, Path]:
    """Return the folders of both kinds of release by their paths in the mirror's URLs."""
    return {f"/{_BUILT}/": folder(cache), f"/{_OFFICIAL}/": official_folder(cache)}


def checksum(collection: Path) -> str | None:
    """Return the SHA-256 of the official release that the role `ollama` requires; None if it has none."""
    defaults = yaml.safe_load((collection / "roles/ollama/defaults/main.yml").read_text(encoding="utf-8"))
    found = defaults["ollama_checksums"].get(VERSION, {}).get(architecture())
    return str(found) if found else None


def download(cache: Path, releases: str, digest: str, view: ProgressView) -> Release:
    """Download the official release. Raises UserError if it is not the archive with this SHA-256."""
    with atomic_folder(official_folder(cache)) as partial:
        download_file.fetch(f"{releases}/v{VERSION}/{_archive()}", digest, partial / _archive(), view)
        (partial / CHECKSUMS).write_text(f"{digest}  ./{_archive()}\n", encoding="utf-8")
    return _read(official_folder(cache), _OFFICIAL)


def make(cache: Path, builder: Builder) -> Release:
    """Build and pack Ollama, which takes 4 minutes on two cores."""
    environment = {"CGO_CFLAGS": _flags(), "CGO_CXXFLAGS": _flags(), "VERSION": VERSION}
    environment |= {"ARCHIVE": _archive(), "LAB_BUILD": _LAB_BUILD}
    with atomic_folder(folder(cache)) as partial:
        what = f"Building Ollama {VERSION}"
        go_modules.build(builder, cache, (_MODULE, _MINIAUDIO), _SCRIPT, partial, what, environment, ".")
    return _read(folder(cache), _BUILT)


def find(cache: Path) -> Release | None:
    """Return the release in the cache, the official one first; None if there is none. Trusts its checksum file."""
    for where, path in ((official_folder(cache), _OFFICIAL), (folder(cache), _BUILT)):
        if (where / CHECKSUMS).is_file():
            return _read(where, path)
    return None


def architecture() -> str:
    """Return this machine's architecture in the releases' names. Raises UserError for any other architecture."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise UserError(f"Ollama has no release for {machine}.", "Use a machine with x86_64 or aarch64.")
    return _ARCHITECTURES[machine]


def _read(where: Path, path: str) -> Release:
    digest, _, name = (where / CHECKSUMS).read_text(encoding="utf-8").strip().partition("  ./")
    return Release(where, name, digest, path)


def _archive() -> str:
    return f"ollama-linux-{architecture()}.tar.zst"


def _flags() -> str:
    # Measured with gemma3 270m: 46 tokens per second with the instructions of x86-64-v3 (AVX2), 15 without.
    march = " -march=x86-64-v3" if architecture() == "amd64" and _has_avx2() else ""
    return f"-O3 -g0{march} -I/tmp/headers"


def _has_avx2() -> bool:
    cpu = Path("/proc/cpuinfo")
    return cpu.is_file() and {"avx2", "fma", "bmi2"} <= set(cpu.read_text(encoding="utf-8").split())
