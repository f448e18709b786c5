"""A real Ollama, built from its Go module and packed as its releases are, with the checksum file that they have.

The last line of versions whose CPU engine is compiled in: from 0.30 on a separate `llama-server` is needed, which no
package registry has.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from ollama_gpu.errors import UserError
from ollama_gpu.lab import go_modules
from ollama_gpu.lab.builder import Builder
from ollama_gpu.lab.go_modules import Module
from ollama_gpu.lab.recipe import key, making

from . import go

VERSION = "0.24.0"
CHECKSUMS = "sha256sum.txt"
_MODULE = Module("github.com/ollama/ollama", f"v{VERSION}", "h1:CBZ0ffE+cxMWRWau5yD5vXHkiZHAeuxLk+3j55u0XxQ=")
# The module's archive leaves out folders named `vendor`, so three header sets are missing: Debian has two of them (in
# the builder's image), this Go module carries the third.
_MINIAUDIO = Module("github.com/gen2brain/malgo", "v0.11.24", "h1:hHcIJVfzWcEDHFdPl5Dl/CUSOjzOleY0zzAV8Kx+imE=")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_LAB_BUILD = f"""Ollama {VERSION}, built by ollama-gpu's lab from the Go module {_MODULE.path}@{_MODULE.version}.
Its engine for the CPU is in bin/ollama; the official release has the libraries for GPUs here.
"""

_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Release:
    """What was made: the archive's name and its digest."""

    folder: Path
    archive: str
    digest: str


def folder(cache: Path) -> Path:
    """Where this version lies, there or not."""
    return cache / "ollama" / f"{VERSION}-{key(_MODULE, _MINIAUDIO, _SCRIPT, _LAB_BUILD, _flags(), go.VERSION)}"


def make(cache: Path, builder: Builder) -> Release:
    """Build and pack it: 4 minutes on two cores."""
    environment = {"CGO_CFLAGS": _flags(), "CGO_CXXFLAGS": _flags(), "VERSION": VERSION}
    environment |= {"ARCHIVE": _archive(), "LAB_BUILD": _LAB_BUILD}
    with making(folder(cache)) as partial:
        what = f"Building Ollama {VERSION}"
        go_modules.build(builder, cache, (_MODULE, _MINIAUDIO), _SCRIPT, partial, what, environment)
    return _read(folder(cache))


def find(cache: Path) -> Release | None:
    """What lies in the cache, None when it has not been made. Trusts the checksum file, which was made with it."""
    where = folder(cache)
    return _read(where) if (where / CHECKSUMS).is_file() else None


def architecture() -> str:
    """This machine's architecture as releases name it; UserError for one that they do not have."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        raise UserError(f"Ollama has no release for {machine}.", "Use a machine with x86_64 or aarch64.")
    return _ARCHITECTURES[machine]


def _read(where: Path) -> Release:
    digest, _, name = (where / CHECKSUMS).read_text(encoding="utf-8").strip().partition("  ./")
    return Release(where, name, digest)


def _archive() -> str:
    return f"ollama-linux-{architecture()}.tar.zst"


def _flags() -> str:
    # Measured with gemma3 270m: 46 tokens a second with the instructions of x86-64-v3 (AVX2), 15 without.
    march = " -march=x86-64-v3" if architecture() == "amd64" and _has_avx2() else ""
    return f"-O3 -g0{march} -I/tmp/headers"


def _has_avx2() -> bool:
    cpu = Path("/proc/cpuinfo")
    return cpu.is_file() and {"avx2", "fma", "bmi2"} <= set(cpu.read_text(encoding="utf-8").split())
