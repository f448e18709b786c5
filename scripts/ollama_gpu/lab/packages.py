"""Packages from PyPI that are no part of the driver: pinned by hash, put into a folder of their own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ollama_gpu.progress import ProgressView

from . import execution


def fetch(pins: Mapping[str, Sequence[str]], target: Path, log: Path, view: ProgressView) -> None:
    """Unpack wheels into ``target`` as an installation would, without their dependencies.

    ``pins`` maps ``name==version`` to the SHA-256 of each wheel that may be taken (one an architecture).
    """
    lines = [f"{name} " + " ".join(f"--hash=sha256:{digest}" for digest in digests) for name, digests in pins.items()]
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-pip-") as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
        pip += ["--only-binary", ":all:", "--require-hashes", "--no-compile", "--target", str(target)]
        # The package is for its own sake: an inherited PIP_REQUIRE_VIRTUALENV or PIP_USER has no say here.
        kept = {name: value for name, value in os.environ.items() if name not in ("PIP_REQUIRE_VIRTUALENV", "PIP_USER")}
        what = f"Fetching {', '.join(pins)}"
        execution.execute([*pip, "--requirement", str(requirements)], what, log, view, kept)
