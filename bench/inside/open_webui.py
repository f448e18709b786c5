"""Runs inside an instance: start one more Open WebUI process, as its unit does but with another Ollama.

Arguments: PORT URL FOLDER. Image, limits, settings and secrets are those of the unit's own program. FOLDER gets the
process's data. The gateway does not know this server: only clients that know its port reach it. Self-contained:
standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

PROGRAM = "/usr/local/sbin/ollama-gpu-open-webui"
OLLAMA = "OLLAMA_BASE_URLS"


def unit() -> Any:
    """Load the unit's program as a module."""
    loader = SourceFileLoader("open_webui_unit", PROGRAM)
    specification = spec_from_loader(loader.name, loader)
    assert specification is not None
    module = module_from_spec(specification)
    sys.dont_write_bytecode = True
    loader.exec_module(module)
    return module


def main() -> None:
    port, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    program = unit()
    configuration = json.loads(program.CONFIGURATION.read_text(encoding="utf-8"))
    settings = Path(configuration["environment"]).read_text(encoding="utf-8").splitlines()
    if not any(line.startswith(f"{OLLAMA}=") for line in settings):
        sys.exit(f"{configuration['environment']} does not set {OLLAMA}")
    changed = [f"{OLLAMA}={url}" if line.startswith(f"{OLLAMA}=") else line for line in settings]
    environment = folder / f"open-webui-{port}.env"
    environment.write_text("\n".join(changed) + "\n", encoding="utf-8")
    data = folder / port
    data.mkdir(mode=0o700, exist_ok=True)
    os.chown(data, int(configuration["uid"]), int(configuration["gid"]))
    own = {"environment": str(environment), "data": str(folder)}
    docker, run, *rest = program.arguments(configuration | own, "serve", port, socket.gethostname())
    subprocess.run([docker, run, "--detach", *rest], check=True, stdout=subprocess.DEVNULL)


main()
