"""The browser's container image: Debian's Chromium and Playwright's requirements, built when a test first needs it.

Playwright's own browsers are in no package registry, so Debian's is used. Playwright itself is one wheel for every
Python, and Debian packages the one module that it depends on. `make deploy ENV=local` builds none of this.
"""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.local.lab import build_cache, host_settings, images, packages
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.lab.locations import Locations
from ollama_gpu.terraform.progress import ProgressView

IMAGE = images.Image(
    "browser",
    (
        *("ca-certificates", "chromium", "fonts-dejavu-core", "fonts-noto-color-emoji", "python3", "python3-greenlet"),
        "libnss3-tools",  # certutil: Chromium trusts the certificates in its NSS database
        "libatomic1",  # Playwright's driver is a Node.js that needs it
    ),
    suite="trixie",
)

_PLAYWRIGHT = {
    "playwright==1.65.2": (
        "58932d35f56767ab7ebcdd3d4a733bfb3e62a1a5bc43c08e28b9fa9b3e61cf33",  # x86_64
        "dd3e54b6a926fc6510f272797eec0707dc34ae04d564e74a7056c4a813e53270",  # aarch64
    )
}


def ensure(locations: Locations, docker: Docker, view: ProgressView) -> tuple[str, Path]:
    """Return the image's reference and the folder with Playwright; build them if they do not exist."""
    with build_cache.locked(locations.cache):
        reference = images.ensure(IMAGE, host_settings.read(), docker, locations.logs, view, force=False)
        folder = locations.cache / "playwright" / build_cache.key(_PLAYWRIGHT)
        if not folder.is_dir():
            with build_cache.atomic_folder(folder) as partial:
                packages.fetch(_PLAYWRIGHT, partial, locations.logs / "playwright.log", view)
    return reference, folder
