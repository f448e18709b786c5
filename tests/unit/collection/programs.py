"""The programs that roles install, loaded by path: their names are no module names."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from ollama_gpu.paths import locate

ROLES = locate().contract.parent.parent / "ansible_collections" / "ollama" / "gpu" / "roles"


def load(role: str, program: str) -> ModuleType:
    path = ROLES / role / "files" / f"{program}.py"
    name = program.replace("-", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module
