"""Puts the stand-in into an instance's container, for as long as that runs: nothing of it is ever in an image."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from functools import cache
from pathlib import Path

import yaml

from ollama_gpu import collection
from ollama_gpu.lab.docker import Docker
from ollama_gpu.paths import locate

UNIT = "ollama-gpu-lab-cloudwatch-stand-in.service"
FOLDER = "/run/ollama-gpu-lab"  # a tmpfs of the instance
_PROGRAM = Path(__file__).parent / "stand_in"
_MAIN = f"from {_PROGRAM.name}.start import main\n\nmain()\n"

# $1 the stand-in, $2 the agent's configuration, $3 the agent itself: where that is installed after all, it does its own
# work. User, groups and its place in a shutdown, after the gateway, are like those that the role gives the agent.
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
    """Have the stand-in run in an instance's container. Raises UserError with the engine's words.

    Asks the engine for the container's processes and does nothing when the stand-in is among them (50 ms), so it may
    be called every few seconds; it also does nothing while the container's systemd is not up yet.
    """
    program = _program()
    path = f"{FOLDER}/cloudwatch-stand-in-{hashlib.sha256(program).hexdigest()[:12]}.zip"
    if path not in docker.output("top", container):
        script = ["sh", "-c", _START, "start", path, *_agent()]
        docker.output("exec", "--interactive", container, *script, text=base64.b64encode(program).decode())


@cache
def _program() -> bytes:
    """The stand-in as an archive that Python runs, the same bytes from the same files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
        for file in sorted(_PROGRAM.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"{_PROGRAM.name}/{file.name}"), file.read_bytes())
    return content.getvalue()


@cache
def _agent() -> tuple[str, str]:
    """Where the role cloudwatch_agent has the agent's configuration, and where the agent's package has the agent."""
    role = collection.role(locate().repository, "cloudwatch_agent") / "vars" / "main.yml"
    variables = yaml.safe_load(role.read_text(encoding="utf-8"))
    return (
        str(variables["_cloudwatch_agent_configuration"]),
        f"{variables['_cloudwatch_agent_home']}/bin/amazon-cloudwatch-agent",
    )
