"""What a GPU host has around Ollama: containers see the GPUs, and the agent can read their figures.

The driver, its persistence and the units that serve are looked at by tests/host, which run in the same tier.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.host import answer

AGENT = Path("/opt/aws/amazon-cloudwatch-agent")
CONFIGURATION = Path("/etc/ollama-gpu/cloudwatch-agent.json")


def gpus() -> list[str]:
    return re.findall(r"UUID: (GPU-[0-9a-f-]+)", answer(["nvidia-smi", "-L"]))


@pytest.fixture
def image() -> str:
    """A container image of this host, whatever it is for: the runtime brings nvidia-smi along."""
    if not shutil.which("docker"):
        pytest.skip("this host was made without Docker")
    found = answer(["docker", "image", "ls", "--quiet"]).split()
    if not found:
        pytest.skip("this host has no container image")
    return found[0]


def test_a_container_sees_every_gpu_by_its_description(image: str) -> None:
    command = ["docker", "run", "--rm", "--network=none", "--device=nvidia.com/gpu=all", "--entrypoint=nvidia-smi"]
    seen = subprocess.run([*command, image, "-L"], capture_output=True, text=True, timeout=120)
    assert seen.returncode == 0, seen.stderr
    assert re.findall(r"UUID: (GPU-[0-9a-f-]+)", seen.stdout) == gpus()


def test_a_container_that_asks_for_one_gpu_sees_that_one(image: str) -> None:
    one = gpus()[-1]
    command = ["docker", "run", "--rm", "--network=none", f"--device=nvidia.com/gpu={one}", "--entrypoint=nvidia-smi"]
    seen = subprocess.run([*command, image, "-L"], capture_output=True, text=True, timeout=120)
    assert seen.returncode == 0, seen.stderr
    assert re.findall(r"UUID: (GPU-[0-9a-f-]+)", seen.stdout) == [one]


def test_a_container_that_asks_for_none_sees_none(image: str) -> None:
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", "ls /dev"]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert seen.returncode == 0, seen.stderr
    assert "null" in seen.stdout.split()
    assert "nvidia" not in seen.stdout


@pytest.fixture
def measurements() -> list[Any]:
    """What the agent is told to publish of each GPU."""
    if not (AGENT / "bin" / "amazon-cloudwatch-agent").exists() or not CONFIGURATION.exists():
        pytest.skip("needs the CloudWatch agent with an environment's configuration")
    collected = json.loads(CONFIGURATION.read_text(encoding="utf-8"))["metrics"]["metrics_collected"]
    found: list[Any] = collected["nvidia_gpu"]["measurement"]
    return found


def test_the_agents_user_reads_the_figures_that_it_publishes(measurements: list[Any]) -> None:
    """As the agent does it: `nvidia-smi -q -x`."""
    asked = subprocess.run(
        ["runuser", "-u", "cwagent", "--", "nvidia-smi", "-q", "-x"], capture_output=True, timeout=60
    )
    assert asked.returncode == 0
    for gpu in ElementTree.fromstring(asked.stdout).iter("gpu"):
        for path in ("utilization/gpu_util", "fb_memory_usage/used", "temperature/gpu_temp"):
            assert re.match(r"\d+ ", gpu.findtext(path, "")), path


def test_the_agent_runs_and_does_not_complain_of_the_gpus(measurements: list[Any]) -> None:
    assert answer(["systemctl", "is-active", "amazon-cloudwatch-agent.service"]) == "active"
    log = AGENT / "logs" / "amazon-cloudwatch-agent.log"
    recent = log.read_text(encoding="utf-8", errors="replace").splitlines()[-500:]
    assert [line for line in recent if " E! " in line and "nvidia" in line.lower()] == []
