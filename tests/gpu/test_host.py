"""A GPU host beyond Ollama: containers see the GPUs, and the CloudWatch agent can read their metrics.

tests/host, in the same tier, checks the driver, its persistence and the serving units.
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
    """Any container image of this host: the runtime adds nvidia-smi."""
    if not shutil.which("docker"):
        pytest.skip("this host has no Docker")
    found = answer(["docker", "image", "ls", "--quiet"]).split()
    if not found:
        pytest.skip("this host has no container image")
    return found[0]


def test_a_container_sees_every_gpu_through_cdi(image: str) -> None:
    command = ["docker", "run", "--rm", "--network=none", "--device=nvidia.com/gpu=all", "--entrypoint=nvidia-smi"]
    seen = subprocess.run([*command, image, "-L"], capture_output=True, text=True, timeout=120)
    assert seen.returncode == 0, seen.stderr
    assert re.findall(r"UUID: (GPU-[0-9a-f-]+)", seen.stdout) == gpus()


def test_a_container_with_one_gpu_sees_that_one(image: str) -> None:
    one = gpus()[-1]
    command = ["docker", "run", "--rm", "--network=none", f"--device=nvidia.com/gpu={one}", "--entrypoint=nvidia-smi"]
    seen = subprocess.run([*command, image, "-L"], capture_output=True, text=True, timeout=120)
    assert seen.returncode == 0, seen.stderr
    assert re.findall(r"UUID: (GPU-[0-9a-f-]+)", seen.stdout) == [one]


def test_a_container_without_a_gpu_sees_none(image: str) -> None:
    command = ["docker", "run", "--rm", "--network=none", "--entrypoint=sh", image, "-c", "ls /dev"]
    seen = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert seen.returncode == 0, seen.stderr
    assert "null" in seen.stdout.split()
    assert "nvidia" not in seen.stdout


@pytest.fixture
def measurements() -> list[Any]:
    """The measurements that the agent publishes for each GPU."""
    if not (AGENT / "bin" / "amazon-cloudwatch-agent").exists() or not CONFIGURATION.exists():
        pytest.skip("needs the CloudWatch agent with an environment's configuration")
    collected = json.loads(CONFIGURATION.read_text(encoding="utf-8"))["metrics"]["metrics_collected"]
    found: list[Any] = collected["nvidia_gpu"]["measurement"]
    return found


def test_the_agents_user_can_read_the_published_metrics(measurements: list[Any]) -> None:
    """With the agent's own command: `nvidia-smi -q -x`."""
    done = subprocess.run(["runuser", "-u", "cwagent", "--", "nvidia-smi", "-q", "-x"], capture_output=True, timeout=60)
    assert done.returncode == 0
    for gpu in ElementTree.fromstring(done.stdout).iter("gpu"):
        for path in ("utilization/gpu_util", "fb_memory_usage/used", "temperature/gpu_temp"):
            assert re.match(r"\d+ ", gpu.findtext(path, "")), path


def test_the_agent_runs_without_gpu_errors(measurements: list[Any]) -> None:
    assert answer(["systemctl", "is-active", "amazon-cloudwatch-agent.service"]) == "active"
    log = AGENT / "logs" / "amazon-cloudwatch-agent.log"
    recent = log.read_text(encoding="utf-8", errors="replace").splitlines()[-500:]
    assert [line for line in recent if " E! " in line and "nvidia" in line.lower()] == []
