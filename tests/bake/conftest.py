"""A bake of every role that runs next to the other tests, and helpers to run more bakes.

Every bake uses a copy of the checkout, so that edits during the tests do not change the image. Each bench has a
separate working folder and embedded AWS.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core import contract, paths
from ollama_gpu.core.aws import Aws
from ollama_gpu.environment.embedded_aws import EmbeddedAws

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CONTRACT = contract.load(paths.locate().contract)
NOT_COPIED = (".venv*", ".ollama-gpu", ".terraform", "__pycache__", ".*_cache")
FULL_BAKE_SECONDS = 1800


@dataclass(frozen=True)
class Run:
    """A finished play or command."""

    status: int
    output: str
    seconds: float

    @property
    def message(self) -> str:
        """The last play's message."""
        return self.output[self.output.index("TASK [Report the ") :]


@dataclass(frozen=True)
class Bench:
    """Bakes of one checkout with one embedded AWS.

    ``variables`` make the images' keys unique to the tests; ``settings`` go into the environment.
    """

    tree: Path
    work: Path
    variables: Mapping[str, Any]
    aws: Aws
    settings: Mapping[str, str] = field(default_factory=dict)

    def bake(self, tree: Path | None = None, folder: str = ".", **variables: Any) -> Run:
        """Run the play as a user does, from a folder of the checkout."""
        play = "bake-ami.yml" if folder == "playbooks" else "playbooks/bake-ami.yml"
        return self._run([str(BIN / "ansible-playbook"), play, "-e", self.json(variables)], tree or self.tree, folder)

    def ask(self, verb: str, *options: str, request: Mapping[str, Any] | None = None) -> Any:
        """Return the answer of the play's program: `python -m ollama_gpu.bake VERB --env local ...`."""
        command = [sys.executable, "-m", "ollama_gpu.bake", verb, "--env", "local", *options]
        done = self._run(command, self.tree, text=json.dumps(request or {}))
        assert done.status == 0, done.output
        return json.loads(done.output)

    def start(self, command: list[str], log: Path) -> subprocess.Popen[str]:
        """Start a command in the background, in a separate process group as a terminal would."""
        with log.open("w") as output:
            return subprocess.Popen(
                command, cwd=self.tree, env=self.environment(self.tree), text=True, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def json(self, variables: Mapping[str, Any]) -> str:
        return json.dumps({**self.variables, **variables})

    def environment(self, tree: Path) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "ANSIBLE_"))}
        path = os.pathsep.join([str(tree / "scripts"), os.environ.get("PYTHONPATH", "")])
        return {**kept, "OLLAMA_GPU_WORK": str(self.work), "PYTHONPATH": path, "NO_COLOR": "1", **self.settings}

    @property
    def published(self) -> str:
        """The id of the image that the environment starts from."""
        name = CONTRACT.parameter("image", "local")
        return str(self.aws.ssm.get_parameter(Name=name)["Parameter"]["Value"])

    @property
    def container_image(self) -> str:
        """The container image behind the published image."""
        (found,) = self.aws.ec2.describe_images(ImageIds=[self.published])["Images"]
        return next(tag["Value"] for tag in found["Tags"] if tag["Key"] == "ContainerImage")

    @property
    def images(self) -> set[str]:
        """Container images that were baked here."""
        label = f"label=ollama-gpu.work={self.work}"
        names = ("image", "ls", "--filter", label, "--format", "{{.Repository}}:{{.Tag}}", "ollama-gpu/host")
        return set(docker(*names).stdout.split())

    @property
    def builders(self) -> list[str]:
        """Containers that build an image here."""
        label = f"label=ollama-gpu.work={self.work}"
        name = "name=^ollama-gpu-bake-local-"
        return docker("ps", "--all", "--filter", name, "--filter", label, "--format", "{{.Names}}").stdout.split()

    def _run(self, command: list[str], tree: Path, folder: str = ".", text: str = "") -> Run:
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=tree / folder, env=self.environment(tree), capture_output=True, text=True, input=text,
            timeout=FULL_BAKE_SECONDS,
        )  # fmt: skip
        return Run(done.returncode, done.stdout + done.stderr, time.monotonic() - began)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, including the .git folder."""
    copy = tmp_path_factory.mktemp("checkout") / "tree"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return copy


@pytest.fixture(scope="session")
def supplies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The lab's supplies, created if missing; as root, a container engine is installed for this."""
    if os.geteuid() != 0 and docker("version", check=False).returncode != 0:
        pytest.skip("needs a container engine: start Docker, or run this as root, which installs and starts it")
    work = tmp_path_factory.mktemp("supply")
    command = [str(BIN / "ollama-gpu"), "lab", "supply", "--json"]
    done = subprocess.run(command, env={**os.environ, "OLLAMA_GPU_WORK": str(work)}, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "the output is above"
    served: dict[str, Any] = json.loads(done.stdout)
    return served


def open_bench(tree: Path, work: Path, variables: Mapping[str, Any]) -> Iterator[Bench]:
    """Provide a bench, and remove everything that was made on it at the end."""
    server = EmbeddedAws(work / "embedded-aws")
    mark = {"image_keep": 1000, "image_seal_paths": [f"/nonexistent/{uuid.uuid4().hex}"]}
    bench = Bench(tree, work, {**mark, **variables}, Aws("us-east-1", server.start().url))
    yield bench
    server.stop()
    if bench.builders:
        docker("rm", "--force", "--volumes", *bench.builders)
    for image in bench.images:
        docker("image", "rm", "--force", image)


@pytest.fixture(scope="session")
def bench(tree: Path, supplies: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """For short bakes: without roles, unless a test names some."""
    variables = {"bake_base_image": supplies["lab_base_image"], "bake_roles": []}
    yield from open_bench(tree, tmp_path_factory.mktemp("short"), variables)


@pytest.fixture(scope="session")
def full_bench(tree: Path, supplies: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """For the bake of every role."""
    yield from open_bench(tree, tmp_path_factory.mktemp("full"), {})


@dataclass(frozen=True)
class Started:
    process: subprocess.Popen[str]
    log: Path
    began: float


@pytest.fixture(scope="session")
def started(full_bench: Bench) -> Iterator[Started]:
    """The running bake of every role."""
    log = full_bench.work / "full.log"
    command = [str(BIN / "ansible-playbook"), "playbooks/bake-ami.yml", "-e", full_bench.json({})]
    process = full_bench.start(command, log)
    yield Started(process, log, time.monotonic())
    if process.poll() is None:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session", autouse=True)
def _start_early(request: pytest.FixtureRequest) -> None:
    """Start the full bake first: it takes as long as all short ones together, so both cores are used."""
    if any("made" in getattr(item, "fixturenames", ()) for item in request.session.items):
        request.getfixturevalue("started")


@pytest.fixture(scope="session")
def made(started: Started) -> Run:
    """The completed full bake."""
    status = started.process.wait(FULL_BAKE_SECONDS)
    run = Run(status, started.log.read_text(), time.monotonic() - started.began)
    assert run.status == 0, run.output[-6000:]
    return run


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=check)
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "docker is not installed")
