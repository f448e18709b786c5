"""Where the roles lie, and the programs that they install, loaded by path: their names are no module names."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from types import ModuleType

from ollama_gpu import collection
from ollama_gpu.paths import locate

ROLES = collection.source(locate().repository) / "roles"


def load(role: str, program: str) -> ModuleType:
    """A program of a role, with or without the ending .py."""
    folder, name = ROLES / role / "files", program.replace("-", "_")
    path = next(path for path in (folder / f"{program}.py", folder / program) if path.is_file())
    loader = SourceFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their own module up
    loader.exec_module(module)
    return module
