"""A running embedded AWS for the whole session, and boto3 clients that use only this endpoint."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ollama_gpu.environment.embedded_aws import EmbeddedAws, Endpoint

REGION = "us-east-1"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """A running embedded AWS, started and stopped as by the driver."""
    embedded = EmbeddedAws(tmp_path_factory.mktemp("embedded-aws"), REGION)
    embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="session")
def endpoint(server: EmbeddedAws) -> Endpoint:
    running = server.running()
    assert running is not None
    return running


@pytest.fixture(scope="session")
def client(endpoint: Endpoint) -> Callable[[str], Any]:
    """Create a boto3 client of a service, without retries, so that a failure shows at once."""

    def make(service: str) -> Any:
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=endpoint.url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    return make


@pytest.fixture
def name() -> str:
    """A unique name, because all tests share one account."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def network(client: Callable[[str], Any]) -> dict[str, Any]:
    """A new VPC with a subnet in each of two zones and a security group."""
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
            "SubnetId"
        ]
        for index, zone in enumerate("ab")
    ]
    group = ec2.create_security_group(GroupName="test", Description="test", VpcId=vpc)["GroupId"]
    return {"vpc": vpc, "subnets": subnets, "group": group}


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Return the first true value of the condition. Fails the test after ``seconds``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"the condition was not true within {seconds} s")
