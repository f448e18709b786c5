"""A load balancer in a separate embedded AWS, its front door, and two targets in containers."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from ollama_gpu.core.aws import Aws
from ollama_gpu.environment.embedded_aws import EmbeddedAws
from ollama_gpu.local.lab import authority, control_client, front_door, host_settings, images
from ollama_gpu.local.lab.docker import LABEL, Docker
from ollama_gpu.local.lab.front_door import FrontDoor, FrontDoorView, Ports, TargetHealth
from ollama_gpu.local.lab.front_door.view import TargetGroup
from ollama_gpu.terraform.progress import NoProgress

NAME = "ollama-gpu-test-front-door"
REGION = "us-east-1"
CHECK_SECONDS = 1  # interval and timeout of checks: AWS allows no less than 5, which would slow the tests down


@dataclass
class Lab:
    """A load balancer with two targets; ``instances`` are their ids."""

    aws: Aws
    docker: Docker
    door: FrontDoor
    ports: Ports
    folder: Path
    target_group: str
    listener: str
    instances: tuple[str, str]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.ports.https}"

    @property
    def trust(self) -> str:
        return str(self.door.authority.certificate)

    def session(self) -> requests.Session:
        """A new client with separate cookies."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.trust
        return session

    def follow(self) -> dict[str, TargetHealth]:
        """Do one round of the lab's follower, which runs every other second; returns the health of each target."""
        addresses = {each: address for each in self.instances if (address := self._address(each))}
        self.door.reconcile(_quicker(front_door.read(self.aws)), addresses)
        found = self.door.health()
        control_client.report_target_health(self.aws.endpoint or "", [asdict(each) for each in found])
        return {each.instance_id: each for each in found}

    def follow_until(self, condition: Callable[[dict[str, TargetHealth]], Any], seconds: float = 30.0) -> Any:
        """Repeat rounds until the condition holds; fails the test after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not (value := condition(found := self.follow())):
            if time.monotonic() > deadline:
                pytest.fail(f"after {seconds} s the targets are still {found}")
            time.sleep(0.2)
        return value

    def until_healthy(self) -> None:
        self.follow_until(lambda found: self.states(found) == ["healthy", "healthy"])

    def states(self, found: dict[str, TargetHealth]) -> list[str]:
        return [found[each].state for each in self.instances if each in found]

    def container(self, instance: str) -> str:
        return f"{NAME}-{instance}"

    def target_states(self) -> dict[str, str]:
        """The states of the targets in the embedded AWS."""
        answer = self.aws.elbv2.describe_target_health(TargetGroupArn=self.target_group)
        return {each["Target"]["Id"]: each["TargetHealth"]["State"] for each in answer["TargetHealthDescriptions"]}

    def start_target(self, instance: str, image: str) -> None:
        state = self.folder / instance
        self.door.authority.ensure_issued(state, (instance,))
        program = Path(__file__).with_name("target.py")
        self.docker.output(
            "run", "--detach", "--name", self.container(instance), f"--label={LABEL}=test", f"--network={NAME}",
            f"--volume={program}:/target.py:ro", f"--volume={state}:/state:ro", f"--env=NAME={instance}",
            image, "python3", "-u", "/target.py",
        )  # fmt: skip

    def _address(self, instance: str) -> str | None:
        found = self.docker.container(self.container(instance))
        address: str = (found or {}).get("NetworkSettings", {}).get("Networks", {}).get(NAME, {}).get("IPAddress", "")
        return address or None


def _quicker(view: FrontDoorView) -> FrontDoorView:
    def quicker(group: TargetGroup) -> TargetGroup:
        return replace(group, health_check=replace(group.health_check, interval=CHECK_SECONDS, timeout=CHECK_SECONDS))

    return replace(view, target_groups=tuple(map(quicker, view.target_groups)))


@pytest.fixture(scope="session")
def docker() -> Docker:
    engine = Docker()
    if engine.version() is None:
        pytest.fail(f"these tests need Docker: {engine.why_not()}")
    return engine


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    embedded = EmbeddedAws(tmp_path_factory.mktemp("embedded-aws"), REGION)
    endpoint = embedded.start()
    control_client.set_lab_present(endpoint.url, present=True)
    yield Aws(REGION, endpoint.url)
    embedded.stop()


@pytest.fixture(scope="session")
def lab(aws: Aws, docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder, host = tmp_path_factory.mktemp("lab"), host_settings.read()
    image, python = (
        images.ensure(each, host, docker, folder, NoProgress(), force=False)
        for each in (front_door.IMAGE, images.PYTHON)
    )
    ports = Ports(*_free_ports(2))
    signer = authority.ensure(folder / "authority")
    door = FrontDoor(NAME, folder / "door", signer, image, docker, ports, NAME)
    target_group, listener, instances = _fabric(aws)
    made = Lab(aws, docker, door, ports, folder, target_group, listener, instances)
    try:
        docker.ensure_network(NAME)
        for instance in instances:
            made.start_target(instance, python)
        yield made
    finally:
        door.stop()
        docker.remove(*(made.container(each) for each in instances))
        docker.output("network", "rm", NAME)


def _fabric(aws: Aws) -> tuple[str, str, tuple[str, str]]:
    """Create the load balancer as terraform/modules/edge does, with two running instances behind it."""
    vpc = aws.ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        aws.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for index, zone in enumerate("ab")
    ]
    image = aws.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    run = aws.ec2.run_instances(ImageId=image, MinCount=2, MaxCount=2, SubnetId=subnets[0])["Instances"]
    first, second = (each["InstanceId"] for each in run)
    elbv2 = aws.elbv2
    group = elbv2.create_target_group(
        Name="lab-interactive", Protocol="HTTPS", Port=8443, VpcId=vpc, TargetType="instance",
        HealthCheckProtocol="HTTPS", HealthCheckPath="/healthz", HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2, UnhealthyThresholdCount=2, Matcher={"HttpCode": "200"},
    )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    attributes = {
        "deregistration_delay.timeout_seconds": "20",
        "load_balancing.algorithm.type": "least_outstanding_requests",
        "stickiness.enabled": "true",
        "stickiness.type": "lb_cookie",
        "stickiness.lb_cookie.duration_seconds": "3600",
    }
    elbv2.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": key, "Value": value} for key, value in attributes.items()]
    )
    elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": first}, {"Id": second}])
    balancer = elbv2.create_load_balancer(Name="lab", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    certificate = aws.acm.request_certificate(DomainName="chat.example.org", ValidationMethod="DNS")["CertificateArn"]
    elbv2.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[
            {
                "Type": "redirect",
                "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"},
            }
        ],
    )
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTPS",
        Port=443,
        SslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )["Listeners"][0]["ListenerArn"]
    fixed = {"ContentType": "text/plain", "MessageBody": "Not found", "StatusCode": "404"}
    elbv2.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/healthz", "/healthz/*"]}}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": fixed}],  # type: ignore[typeddict-item]
    )
    return group, listener, (first, second)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
