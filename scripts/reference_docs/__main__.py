"""Write every generated page: `make docs`.

Each module of MODULES has a function ``pages(repository) -> dict[Path, str]``.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from ollama_gpu.core.paths import locate

MODULES = ("roles", "terraform", "verbs")


def pages(repository: Path) -> dict[Path, str]:
    """Text of every generated page by its path. A module may name paths relative to the repository."""
    found: dict[Path, str] = {}
    for name in MODULES:
        found |= importlib.import_module(f"reference_docs.{name}").pages(repository)
    return {repository / path: text for path, text in found.items()}


def main() -> int:
    for path, text in pages(locate().repository).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
