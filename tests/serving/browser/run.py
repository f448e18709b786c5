"""Runs the story in a browser that goes where users of ENV=local go.

In a network of its own: on this machine's, every container that comes or goes is a change of network to Chromium, which
then gives up what it was loading. So 127.0.0.1 would be itself, and it is told where that address really leads.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ollama_gpu.lab import places
from ollama_gpu.lab.docker import LABEL, Docker
from ollama_gpu.lab.plane import Plane
from ollama_gpu.progress import NoProgress
from tests.serving.conftest import Serving

from . import image

SECONDS = 420

# The browser knows the lab's authority, as a person's would who trusts it: a certificate that is wrong still fails.
_SCRIPT = """
mkdir -p "$HOME/.pki/nssdb"
certutil -d "sql:$HOME/.pki/nssdb" -N --empty-password
certutil -d "sql:$HOME/.pki/nssdb" -A -t C,, -n lab -i /trust/ca.crt
exec timeout "$SECONDS_AT_MOST" python3 /story/story.py /report
"""


def run(serving: Serving, told: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What was seen, see `story.py`; pictures and the report lie in ``folder``. UserError when a step failed."""
    docker = Docker()
    reference, playwright = image.ensure(places.locate(serving.context.paths), docker, NoProgress())
    authority = Plane(serving.context).authority.certificate
    name = serving.container("browser")
    docker.remove(name)  # of a run that was killed
    volumes = {
        f"{authority}:/trust/ca.crt:ro",
        f"{playwright}:/playwright:ro",
        f"{Path(__file__).parent}:/story:ro",
        f"{folder}:/report",
    }
    environment = {
        "HOME": "/tmp/home",  # noqa: S108 - inside the container
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/playwright",
        "SECONDS_AT_MOST": str(SECONDS),
    }
    try:
        said = docker.output(
            "run", "--rm", "--interactive", "--init", f"--name={name}", f"--label={LABEL}=browser",
            f"--network={serving.network}",
            f"--user={os.getuid()}:{os.getgid()}",
            *(f"--volume={volume}" for volume in sorted(volumes)),
            *(f"--env={key}={value}" for key, value in environment.items()),
            reference, "bash", "-euo", "pipefail", "-c", _SCRIPT,
            text=json.dumps({"url": serving.door.url, "leads_to": f"{serving.container('front-door')}:443", **told}),
        )  # fmt: skip
    finally:
        docker.remove(name)
    print(said)
    seen: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return seen
