"""One bake of a container, in a working folder of the tests' own, and what it takes to ask for more.

The base image is the lab's. The bake converges one role, so that minutes suffice: all of them are molecule's part.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu import contract, paths
from ollama_gpu.aws import Aws
from ollama_gpu.embedded_aws.process import EmbeddedAws

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE = str(Path(sys.executable).with_name("ansible-playbook"))
CONTRACT = contract.load(paths.locate().contract)


@dataclass(frozen=True)
class Run:
    """A finished play."""

    status: int
    output: str
    seconds: float

    @property
    def message(self) -> str:
        """The last play's words."""
        return self.output[self.output.index("TASK [Say ") :]


@dataclass(frozen=True)
class Bench:
    """Bakes that share one embedded AWS. ``variables`` make the images' keys the tests' own."""

    work: Path
    variables: Mapping[str, Any]
    aws: Aws

    def bake(self, repository: Path = ROOT, folder: str = ".", **variables: Any) -> Run:
        """Run the play as a user does, from a folder of the repository."""
        began = time.monotonic()
        play = "bake-ami.yml" if folder == "playbooks" else "playbooks/bake-ami.yml"
        done = subprocess.run(
            [ANSIBLE, play, "-e", self.as_json(variables)],
            cwd=repository / folder,
            env=self.environment(repository),
            capture_output=True,
            text=True,
            timeout=1800,
        )
        return Run(done.returncode, done.stdout + done.stderr, time.monotonic() - began)

    def start(self, **variables: Any) -> subprocess.Popen[str]:
        """The play in the background."""
        return subprocess.Popen(
            [ANSIBLE, "playbooks/bake-ami.yml", "-e", self.as_json(variables)],
            cwd=ROOT, env=self.environment(ROOT), text=True, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def as_json(self, variables: Mapping[str, Any]) -> str:
        return json.dumps({**self.variables, **variables})

    def environment(self, repository: Path) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "ANSIBLE_"))}
        path = os.pathsep.join([str(repository / "scripts"), os.environ.get("PYTHONPATH", "")])
        return {**kept, "OLLAMA_GPU_WORK": str(self.work), "PYTHONPATH": path, "NO_COLOR": "1"}

    @property
    def published(self) -> str:
        """The image that the environment starts from."""
        name = CONTRACT.parameter("image", "local")
        return str(self.aws.ssm.get_parameter(Name=name)["Parameter"]["Value"])

    @property
    def container_image(self) -> str:
        """The container image behind it."""
        (found,) = self.aws.ec2.describe_images(ImageIds=[self.published])["Images"]
        return next(tag["Value"] for tag in found["Tags"] if tag["Key"] == "ContainerImage")


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if shutil.which("docker") is None or docker("version", check=False).returncode != 0:
        pytest.skip("needs a container engine")
    work = tmp_path_factory.mktemp("bake")
    server = EmbeddedAws(work / "embedded-aws")
    mark = uuid.uuid4().hex
    options = {"log-driver": "journald", "live-restore": True, "labels": [f"ollama-gpu.test={mark}"]}
    variables = {"bake_roles": ["ollama.gpu.docker"], "docker_daemon_options": options, "image_keep": 1000}
    before = baked()
    yield Bench(work, variables, Aws("us-east-1", server.start().url))
    server.stop()
    for image in baked() - before:
        docker("image", "rm", "--force", image)


@pytest.fixture(scope="session")
def made(bench: Bench) -> Run:
    """The one full bake."""
    run = bench.bake()
    assert run.status == 0, run.output[-6000:]
    return run


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=check)


def baked() -> set[str]:
    listed = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "ollama-gpu/host").stdout
    return set(listed.split())


def builders() -> list[str]:
    """Containers of bakes that exist now."""
    return docker("ps", "--all", "--filter", "name=^ollama-gpu-bake-local-", "--format", "{{.Names}}").stdout.split()
