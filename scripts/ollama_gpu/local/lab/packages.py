"""Downloads packages from PyPI that are not dependencies of ollama-gpu: pinned by hash, in separate folders."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ollama_gpu.terraform.progress import ProgressView

from . import processes
from .how_far import Downloads


def fetch(pins: Mapping[str, Sequence[str]], target: Path, log: Path, view: ProgressView) -> None:
    """Install wheels into ``target``, without their dependencies.

    ``pins`` maps ``name==version`` to the SHA-256 of each allowed wheel (one per architecture).
    """
    lines = [f"{name} " + " ".join(f"--hash=sha256:{digest}" for digest in digests) for name, digests in pins.items()]
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-pip-") as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text("\n".join(lines) + "\n", encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps"]
        pip += ["--progress-bar", "off"]
        pip += ["--only-binary", ":all:", "--require-hashes", "--no-compile", "--target", str(target)]
        # An inherited PIP_REQUIRE_VIRTUALENV or PIP_USER does not apply to an installation into a folder.
        kept = {name: value for name, value in os.environ.items() if name not in ("PIP_REQUIRE_VIRTUALENV", "PIP_USER")}
        what = f"Fetching {', '.join(pins)}"
        kept["TMPDIR"] = scratch  # pip downloads into it, so its size tells how far it is
        how_far = Downloads(Path(scratch))
        processes.execute([*pip, "--requirement", str(requirements)], what, log, view, kept, how_far)
