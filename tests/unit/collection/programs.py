"""Load and run the programs that the roles install, from the checkout. Their names are not module names."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from ollama_gpu.core import collection
from ollama_gpu.core.paths import locate

ROLES = collection.source(locate().repository) / "roles"
SHARED = str(ROLES / "common" / "files")  # the module that role `common` installs on a host
_RUN = "import runpy, sys; del sys.argv[0]; sys.path.insert(0, {!r}); runpy.run_path(sys.argv[0], run_name='__main__')"


def path(role: str, program: str) -> Path:
    """Return the file of a role's program, with or without the suffix .py."""
    folder = ROLES / role / "files"
    return next(file for file in (folder / f"{program}.py", folder / program) if file.is_file())


def load(role: str, program: str) -> ModuleType:
    """Import a role's program."""
    if SHARED not in sys.path:
        sys.path.append(SHARED)
    name = program.replace("-", "_")
    loader = SourceFileLoader(name, str(path(role, program)))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up their own module
    loader.exec_module(module)
    return module


def command(role: str, program: str) -> list[str]:
    """Return the command that runs a role's program as on a host, isolated from the user's environment."""
    return [sys.executable, "-I", "-c", _RUN.format(SHARED), str(path(role, program))]
