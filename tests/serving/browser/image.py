"""What the browser runs in: Debian's Chromium and what Playwright needs, made by the lab when a test first wants it.

Playwright's own browsers are in no package registry, so Debian's is used; Playwright itself is one wheel for every
Python, and Debian has the one module that it depends on. Nothing of it is a part of what `make deploy ENV=local` makes.
"""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.lab import host_settings, images, packages, recipe
from ollama_gpu.lab.docker import Docker
from ollama_gpu.lab.places import Places
from ollama_gpu.progress import ProgressView

IMAGE = images.Image(
    "browser",
    (
        *("ca-certificates", "chromium", "fonts-dejavu-core", "fonts-noto-color-emoji", "python3", "python3-greenlet"),
        "libnss3-tools",  # certutil: Chromium trusts what its NSS database says
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


def ensure(places: Places, docker: Docker, view: ProgressView) -> tuple[str, Path]:
    """The image's reference, and the folder with Playwright in it; both are made when they are not there."""
    with recipe.exclusive(places.cache):
        reference = images.ensure(IMAGE, host_settings.read(), docker, places.logs, view, force=False)
        folder = places.cache / "playwright" / recipe.key(_PLAYWRIGHT)
        if not folder.is_dir():
            with recipe.making(folder) as partial:
                packages.fetch(_PLAYWRIGHT, partial, places.logs / "playwright.log", view)
    return reference, folder
