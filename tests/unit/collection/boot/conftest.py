"""Fixtures: an embedded AWS, a metadata service, a launched instance, and releases, all on this machine."""

from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import boto3
import pytest

from ollama_gpu.core import collection
from ollama_gpu.core.paths import locate
from ollama_gpu.environment.embedded_aws import answers

REPOSITORY = locate().repository
COLLECTION = collection.source(REPOSITORY)
PROGRAM = COLLECTION / "roles" / "boot" / "files" / "ollama-gpu-boot"
REGION = "us-east-1"
TOKEN = "made-up-session-token"  # the token that the metadata service below issues and requires


# The embedded AWS as the command starts it, except that instances report by themselves.
SERVE = """
import sys
from ollama_gpu.local.embedded_aws import autoscaling, server
autoscaling.answer_lifecycle_actions(False)
server.main(["--port", sys.argv[1], "--region", sys.argv[2]])
"""


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, "-c", SERVE, str(port), REGION], stderr=subprocess.DEVNULL) as server:
        wait_until(lambda: answers(port), seconds=90)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.fixture(autouse=True)
def own_ansible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the Ansible of this Python, and restore the environment that the boot program changes."""
    for name in ("HOME", "LC_ALL", "DEBIAN_FRONTEND"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.fixture
def aws(aws_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Create clients of the embedded AWS. The environment also points subprocesses to it."""
    no_settings = tmp_path / "ansible.cfg"  # an instance has no ansible.cfg; the checkout's is for developers
    no_settings.touch()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": aws_url,
        "ANSIBLE_CONFIG": str(no_settings),
        "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY),
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    session: Any = boto3.session.Session()
    return lambda service: session.client(service, region_name=REGION, endpoint_url=aws_url)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The boot program as a module, with all its paths below the test's folder."""
    loader = importlib.machinery.SourceFileLoader("ollama_gpu_boot", str(PROGRAM))
    spec = importlib.util.spec_from_loader("ollama_gpu_boot", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    for name in ("WORK", "COLLECTIONS", "ANSIBLE", "IMAGE", "ENDED_WELL"):
        monkeypatch.setattr(module, name, tmp_path / name.lower())
    monkeypatch.setattr(module, "POLL_SECONDS", 0.2)

    def nothing_is_missing() -> bool:
        assert module.ansible_fits(), "Ansible does not run, and no test may install it"
        return False

    monkeypatch.setattr(module, "prerequisites", nothing_is_missing)
    return module


class Metadata(BaseHTTPRequestHandler):
    """IMDSv2: returns a token for a PUT, and the instance ID for a valid token."""

    instance_id = ""

    def do_PUT(self) -> None:
        self._answer(200 if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else 400, TOKEN)

    def do_GET(self) -> None:
        known = {"/latest/meta-data/instance-id": self.instance_id}
        if self.headers["X-aws-ec2-metadata-token"] != TOKEN:
            self._answer(401, "")
        else:
            self._answer(200 if self.path in known else 404, known.get(self.path, ""))

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass
class Instance:
    """An instance that its group has launched and that waits for its hook."""

    group: str
    id: str
    description: Path
    aws: Callable[[str], Any]

    def state(self) -> str:
        found = self.aws("autoscaling").describe_auto_scaling_instances(InstanceIds=[self.id])["AutoScalingInstances"]
        return str(found[0]["LifecycleState"]) if found else "gone"

    def change(self, **entries: Any) -> None:
        self.description.write_text(json.dumps({**json.loads(self.description.read_text()), **entries}))


@pytest.fixture
def instance(
    aws: Callable[[str], Any], program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Instance]:
    name = f"t{uuid.uuid4().hex[:10]}"
    ec2, autoscaling = aws("ec2"), aws("autoscaling")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    zone = f"{REGION}a"
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.0.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    image = ec2.register_image(Name=name, RootDeviceName="/dev/sda1")["ImageId"]
    data = {"ImageId": image, "InstanceType": "g5.xlarge"}
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    hook = {"LifecycleHookName": "instance-ready", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=1,
        MaxSize=1,
        LaunchTemplate={"LaunchTemplateName": name, "Version": "1"},
        VPCZoneIdentifier=subnet,
        LifecycleHookSpecificationList=[{**hook, "HeartbeatTimeout": 600, "DefaultResult": "ABANDON"}],
    )

    def members() -> list[Any]:
        group = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        return [each for each in group["Instances"] if each["LifecycleState"] == "Pending:Wait"]

    wait_until(members)
    launched = str(members()[0]["InstanceId"])
    handler = type("Handler", (Metadata,), {"instance_id": launched})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(program, "METADATA", f"http://127.0.0.1:{server.server_port}")
    bucket = f"artifacts-{name}"
    aws("s3").create_bucket(Bucket=bucket)
    description = tmp_path / "instance.json"
    booted = Instance(name, launched, description, aws)
    description.write_text("{}")
    booted.change(
        artifact_bucket=bucket,
        collection_key="collections/{collection_sha256}.tar.gz",
        group=name,
        lifecycle_hooks={"launch": "instance-ready"},
        parameters={},
        region=REGION,
        variables={"ansible_python_interpreter": sys.executable, "folder": str(tmp_path)},
    )
    yield booted
    server.shutdown()
    server.server_close()
    autoscaling.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)


ROLE = """
- name: Install it
  ansible.builtin.shell: echo install >> {{ folder }}/stages
  tags: [thing_install, install]

- name: Write what is the same on every instance
  ansible.builtin.shell: echo image >> {{ folder }}/stages
  tags: [thing_configure, configure, image]

- name: Configure it
  ansible.builtin.shell: echo configure >> {{ folder }}/stages
  tags: [thing_configure, configure]
"""


@dataclass
class Release:
    """Publishes a small collection with the real name, the real callback and a role of two stages."""

    instance: Instance
    folder: Path
    builds: Callable[[str, str], Path]

    def publish(self, name: str, more: str = "", put: bool = True) -> str:
        """Build and publish; ``more`` is YAML that follows the role's tasks. Returns the archive's sha256."""
        archive = self.builds(name, more)
        shutil.copy(archive, self.archive(name))
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        known = json.loads(self.instance.description.read_text())
        if put:
            key = known["collection_key"].replace("{collection_sha256}", digest)
            self.instance.aws("s3").upload_file(str(archive), known["artifact_bucket"], key)
        self.point_at(name, digest)
        return digest

    def point_at(self, name: str, digest: str) -> None:
        self.instance.change(release=name, collection_sha256=digest)

    def archive(self, name: str) -> Path:
        return self.folder / f"{name}.tar.gz"

    def stages(self) -> list[str]:
        """Return what the role has done, in order."""
        written = self.folder / "stages"
        return written.read_text().split() if written.exists() else []


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Builds a release's archive from its name and additional tasks."""

    @functools.cache
    def build(name: str, more: str) -> Path:
        source = tmp_path_factory.mktemp(name)
        (source / "roles" / "thing" / "tasks").mkdir(parents=True)
        (source / "plugins" / "callback").mkdir(parents=True)
        (source / "playbooks").mkdir()
        shutil.copy(COLLECTION / "plugins" / "callback" / "boot_log.py", source / "plugins" / "callback")
        (source / "galaxy.yml").write_text(
            "{namespace: ollama, name: gpu, version: 0.1.0, readme: README.md, authors: [x], license: [Apache-2.0]}"
        )
        (source / "README.md").write_text(name)
        (source / "roles" / "thing" / "tasks" / "main.yml").write_text(ROLE + more)
        (source / "playbooks" / "boot.yml").write_text("[{hosts: all, gather_facts: false, roles: [ollama.gpu.thing]}]")
        galaxy = Path(sys.executable).with_name("ansible-galaxy")
        command = [str(galaxy), "collection", "build", str(source), "--output-path", str(source / "out")]
        subprocess.run(command, check=True, capture_output=True)
        return source / "out" / "ollama-gpu-0.1.0.tar.gz"

    return build


@pytest.fixture
def release(instance: Instance, tmp_path: Path, builds: Callable[[str, str], Path]) -> Release:
    return Release(instance, tmp_path, builds)


def wait_until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Return the first true value of the condition; fails the test when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail("the condition did not come true in time")
