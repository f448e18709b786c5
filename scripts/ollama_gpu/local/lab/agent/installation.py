"""Installs the stand-in in an instance's running container. It is never part of an image."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

import yaml

from ollama_gpu.core import collection
from ollama_gpu.core.paths import locate
from ollama_gpu.local.lab.docker import Docker

UNIT = "ollama-gpu-lab-cloudwatch-stand-in.service"
FOLDER = "/run/ollama-gpu-lab"  # a tmpfs of the instance
_PROGRAM = Path(__file__).parent / "stand_in"
_MAIN = f"from {_PROGRAM.name}.start import main\n\nmain()\n"

# $1 is the stand-in, $2 the agent's configuration, $3 the agent itself, which has precedence where it is installed.
# User, groups and the order at shutdown (after the gateway) are those of the agent in its role.
_START = f"""
[ -S /run/systemd/private ] || exit 0
[ ! -x "$3" ] || exit 0
[ ! -e "$1" ] || ! systemctl is-active --quiet {UNIT} || exit 0
systemctl stop {UNIT} 2>/dev/null
mkdir -p {FOLDER} && rm -f {FOLDER}/cloudwatch-stand-in-*.zip && base64 --decode >"$1" || exit 1
exec systemd-run --quiet --collect --unit={UNIT} \\
  --description="Stands in for the CloudWatch agent, which the lab cannot install" \\
  --setenv=PYTHONUNBUFFERED=1 \\
  --property=Restart=always --property=RestartSec=2 --property=StartLimitIntervalSec=0 --property=Nice=5 \\
  --property=Before=haproxy.service --property=KillMode=mixed \\
  --property=DynamicUser=yes --property="SupplementaryGroups=adm systemd-journal" \\
  --property=RuntimeDirectory=cloudwatch-stand-in --property=RuntimeDirectoryPreserve=restart \\
  /usr/bin/python3 "$1" "$2"
"""


def ensure(container: str, docker: Docker) -> None:
    """Start the stand-in in an instance's container, unless it runs. Raises UserError with the engine's error.

    A call takes 50 ms when the stand-in is among the container's processes, so it can be repeated every few seconds.
    It does nothing while the container's systemd is still starting.
    """
    program = _program()
    path = f"{FOLDER}/cloudwatch-stand-in-{hashlib.sha256(program).hexdigest()[:12]}.zip"
    if path not in docker.output("top", container):
        script = ["sh", "-c", _START, "start", path, *_agent()]
        docker.output("exec", "--interactive", container, *script, text=base64.b64encode(program).decode())


@cache
def _program() -> bytes:
    """Return the stand-in as an archive that Python runs: the same bytes for the same files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
        for file in sorted(_PROGRAM.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"{_PROGRAM.name}/{file.name}"), file.read_bytes())
    return content.getvalue()


@cache
def _agent() -> tuple[str, str]:
    """Return the paths of the agent's configuration in the role cloudwatch_agent, and of the agent in its package."""
    role = collection.role(locate().repository, "cloudwatch_agent") / "vars" / "main.yml"
    variables = yaml.safe_load(role.read_text(encoding="utf-8"))
    return (
        str(variables["_cloudwatch_agent_configuration"]),
        f"{variables['_cloudwatch_agent_home']}/bin/amazon-cloudwatch-agent",
    )
