"""A separate embedded AWS with the instances of a separate environment."""

from __future__ import annotations

import base64
import json
import logging
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from ollama_gpu.core import contract, paths
from ollama_gpu.core.aws import Aws
from ollama_gpu.environment.embedded_aws import EmbeddedAws
from ollama_gpu.environment.images import CONTAINER_TAG
from ollama_gpu.local.lab import control_client, locations, variables_file
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.lab.forward import Forward
from ollama_gpu.local.lab.instances.containers import Containers, Settings
from ollama_gpu.local.lab.instances.credentials import Credentials
from ollama_gpu.local.lab.instances.view import Instance, View

REGION = "us-east-1"
ENVIRONMENT = "local"
CONTRACT = contract.load(paths.locate().contract)


@dataclass
class Bench:
    """The lab's instances without the follower: `look` does one of its rounds."""

    aws: Aws
    settings: Settings
    docker: Docker = field(default_factory=Docker)

    def __post_init__(self) -> None:
        self.view = View(self.aws, ENVIRONMENT, CONTRACT)
        self.containers = Containers(self.docker, self.settings, Credentials(self.aws))

    def look(self) -> dict[str, str]:
        """Do one round; returns the addresses of running instances."""
        return self.containers.reconcile(self.view.read())

    def look_until(self, condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """Repeat rounds until the condition is true; fails the test after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            self.look()
            if value := condition():
                return value
            assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
            time.sleep(0.5)

    def instance(self, identifier: str) -> Instance:
        return next(each for each in self.view.read() if each.identifier == identifier)

    def launch(self, user_data: str = "", image: str = "", **more: Any) -> str:
        """Launch an instance of the environment through EC2's API; without ``image``, of the stock image."""
        tags = [
            {"Key": CONTRACT.tags["project"], "Value": CONTRACT.project},
            {"Key": CONTRACT.tags["environment"], "Value": ENVIRONMENT},
            {"Key": CONTRACT.tags["fleet"], "Value": "interactive"},
        ]
        specifications: list[Any] = [{"ResourceType": "instance", "Tags": tags}]
        answer = self.aws.ec2.run_instances(
            ImageId=image or self.image("stock"), InstanceType="g5.xlarge", MinCount=1, MaxCount=1, UserData=user_data,
            TagSpecifications=specifications, **more,
        )  # fmt: skip
        return str(answer["Instances"][0]["InstanceId"])

    def image(self, name: str, container: str = "") -> str:
        """The id of an AMI: of a container image, or a stock image."""
        found = self.aws.ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])["Images"]
        if found:
            return str(found[0]["ImageId"])
        identifier = self.aws.ec2.register_image(Name=name, RootDeviceName="/dev/xvda")["ImageId"]
        if container:
            self.aws.ec2.create_tags(Resources=[identifier], Tags=[{"Key": CONTAINER_TAG, "Value": container}])
        return str(identifier)

    def profile(self, name: str) -> str:
        """Create an instance profile with a role of the same name that allows everything; returns its ARN."""
        iam = self.aws.client("iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_trust("ec2.amazonaws.com")))
        allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_role_policy(RoleName=name, PolicyName="anything", PolicyDocument=json.dumps(allowed))
        arn = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
        return str(arn)

    def terminate(self, *identifiers: str) -> None:
        self.aws.ec2.terminate_instances(InstanceIds=list(identifiers))

    def inside(self, identifier: str, script: str, check: bool = True) -> str:
        """Return the output of a shell script in an instance."""
        command = ["docker", "exec", self.settings.container(identifier), "bash", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, check=check).stdout.strip()

    def imds(self, identifier: str, path: str) -> str:
        """Query the metadata service (version 2) in an instance; returns ``000`` from curl if it does not respond."""
        return self.inside(identifier, f'{TOKEN}; curl -s -H "$T" http://169.254.169.254/latest/{path}', check=False)

    def names(self) -> set[str]:
        """The names of all containers, running or not."""
        listed = self.docker.output(
            "ps", "--all", "--format", "{{.Names}}", "--filter", f"name=^{self.settings.prefix}-"
        )
        return set(listed.split())


def _trust(service: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


TOKEN = (
    "T=\"X-aws-ec2-metadata-token: $(curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "
    'http://169.254.169.254/latest/api/token)"'
)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = variables_file.read(locations.locate(paths.locate()).variables_file)
    docker = Docker()
    if shutil.which("docker") is None or docker.version() is None:
        pytest.skip("needs a container engine")
    if "lab_metadata_image" not in made:
        pytest.skip("needs the lab's images: ollama-gpu lab supply")
    logging.getLogger("ollama_gpu").setLevel(logging.INFO)
    docker.ensure_network()
    server = EmbeddedAws(tmp_path_factory.mktemp("embedded-aws"), REGION)
    url = server.start().url
    control_client.set_lab_present(url, present=True)
    port = urlsplit(url).port or 0
    gateway = docker.gateway()
    prefix = f"ollama-gpu-test-{uuid.uuid4().hex[:8]}"
    consoles = tmp_path_factory.mktemp("consoles")
    settings = Settings(made["lab_base_image"], made["lab_metadata_image"], gateway, prefix, consoles=consoles)
    bench = Bench(Aws(REGION, url), settings)
    try:
        with Forward((gateway, port), ("127.0.0.1", port)):
            yield bench
    finally:
        docker.remove(*bench.names())
        for volume in docker.ours("volume"):
            if volume.startswith(prefix):
                docker.output("volume", "rm", volume)
        server.stop()


def encoded(script: str) -> str:
    """Encode user data as a launch template needs it; run_instances encodes it itself."""
    return base64.b64encode(script.encode()).decode()
