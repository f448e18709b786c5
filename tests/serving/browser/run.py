"""Run the story in a browser that reaches the same address as users of ENV=local.

The browser's container has a separate network: on the host's network Chromium treats every container that starts or
stops as a network change, and aborts what it is loading. There, 127.0.0.1 would be the container itself, so Chromium
is told which host that address stands for.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ollama_gpu.local.lab import locations
from ollama_gpu.local.lab.docker import LABEL, Docker
from ollama_gpu.local.lab.lab import Lab
from ollama_gpu.terraform.progress import NoProgress
from tests.serving.conftest import Serving

from . import image

SECONDS = 420

# The browser trusts the lab's authority, as a user's browser would: a wrong certificate still fails.
_SCRIPT = """
mkdir -p "$HOME/.pki/nssdb"
certutil -d "sql:$HOME/.pki/nssdb" -N --empty-password
certutil -d "sql:$HOME/.pki/nssdb" -A -t C,, -n lab -i /trust/ca.crt
exec timeout "$SECONDS_AT_MOST" python3 /story/story.py /report
"""


def run(serving: Serving, inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the report, see `story.py`; ``folder`` gets it and the screenshots. Raises UserError if a step fails."""
    docker = Docker()
    reference, playwright = image.ensure(locations.locate(serving.context.paths), docker, NoProgress())
    authority = Lab(serving.context).authority.certificate
    name = serving.container("browser")
    docker.remove(name)  # left by a run that was killed
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
    leads_to = f"{serving.container('front-door')}:443"
    try:
        output = docker.output(
            "run", "--rm", "--interactive", "--init", f"--name={name}", f"--label={LABEL}=browser",
            f"--network={serving.network}",
            f"--user={os.getuid()}:{os.getgid()}",
            *(f"--volume={volume}" for volume in sorted(volumes)),
            *(f"--env={key}={value}" for key, value in environment.items()),
            reference, "bash", "-euo", "pipefail", "-c", _SCRIPT,
            text=json.dumps({"url": serving.chat_address.url, "leads_to": leads_to, **inputs}),
        )  # fmt: skip
    finally:
        docker.remove(name)
    print(output)
    seen: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return seen
