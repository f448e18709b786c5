"""Makes the collection importable as Ansible imports it, from a plain checkout."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[3]


def load(name: str) -> ModuleType:
    """A plugin by its dotted path below `plugins`, such as `module_utils.gpu_matrix`."""
    if str(REPOSITORY) not in sys.path:
        sys.path.insert(0, str(REPOSITORY))
    return importlib.import_module(f"ansible_collections.ollama.gpu.plugins.{name}")
