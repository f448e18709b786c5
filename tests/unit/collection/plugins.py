"""Import the collection's plugins from the checkout as Ansible does."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[3]


def load(name: str) -> ModuleType:
    """Import a plugin by its dotted path below `plugins`, such as `module_utils.gpu_matrix`."""
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))
    return importlib.import_module(f"ansible_collections.ollama.gpu.plugins.{name}")
