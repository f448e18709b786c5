"""The same play with an EC2 instance, on the embedded AWS: the resources that it creates, tags, publishes and removes.

The instance is only a record; Ansible connects to a container instead, because no emulator boots an instance. Session
Manager and SSH need real AWS.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.bake.conftest import CONTRACT, Bench, Run, docker
from tests.bake.waiting import wait_for

MARK = "ollama-gpu-bake-local-"


@pytest.fixture(scope="module")
def bench(bench: Bench) -> Bench:
    """Run only one of the image's tests, to show that they reach the builder: through Ansible each takes seconds."""
    return replace(bench, settings={"PYTEST_ADDOPTS": "-k machine_id"})


@pytest.fixture(scope="module")
def rented(bench: Bench, supplies: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The variables of a bake on EC2, in a bootstrapped account."""
    identity = bench.aws.identity
    bucket = CONTRACT.state_bucket(identity.account, "us-east-1")
    profile = f"{CONTRACT.project}-image-builder-us-east-1"
    iam = bench.aws.client("iam")
    iam.create_instance_profile(InstanceProfileName=profile)
    bench.aws.s3.create_bucket(Bucket=bucket)
    outputs = {"image_builder_profile": {"value": profile}, "artifact_bucket": {"value": "artifacts"}}
    state = json.dumps({"outputs": outputs}).encode()
    bench.aws.s3.put_object(Bucket=bucket, Key=CONTRACT.state["bootstrap_key"], Body=state)
    name = f"test-bake-ec2-{os.getpid()}"
    docker(
        "run", "--detach", "--name", name, "--network", "ollama-gpu-lab", "--cap-add", "SYS_ADMIN", "--cap-add",
        "NET_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--tmpfs", "/run",
        "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns", "host",  # noqa: S108
        "--env", "container=docker", "--volume", "/var/lib/docker",
        supplies["lab_base_image"], "/sbin/init",
    )  # fmt: skip
    yield {
        "bake_base_image": "",
        "bake_builder": "ec2",
        "bake_connection": "ssh",
        "bake_connection_variables": {"ansible_connection": "community.docker.docker", "ansible_host": name},
        "bake_reboot": "container",
        "bake_ssh_cidr": "203.0.113.7/32",
    }
    docker("rm", "--force", "--volumes", name)


@pytest.fixture(scope="module")
def made(bench: Bench, rented: dict[str, Any]) -> Run:
    run = bench.bake(**rented)
    assert run.status == 0, run.output[-6000:]
    return run


def remaining_resources(bench: Bench) -> list[str]:
    """Resources of bakes that still exist."""
    ec2 = bench.aws.ec2
    keys = [each["KeyName"] for each in ec2.describe_key_pairs()["KeyPairs"]]
    groups = [each["GroupName"] for each in ec2.describe_security_groups()["SecurityGroups"]]
    instances = [
        each["InstanceId"]
        for reservation in ec2.describe_instances()["Reservations"]
        for each in reservation["Instances"]
        if each["State"]["Name"] != "terminated"
    ]
    return [name for name in [*keys, *groups] if name.startswith(MARK)] + instances


def test_the_image_is_tagged_and_published(bench: Bench, made: Run) -> None:
    (image,) = bench.aws.ec2.describe_images(ImageIds=[bench.published])["Images"]
    tags = {each["Key"]: each["Value"] for each in image["Tags"]}
    assert {"Project": "ollama-gpu", "Environment": "local", "ManagedBy": "ollama-gpu"}.items() <= tags.items()
    assert image["Name"] == f"ollama-gpu-host-{tags['ImageKey']}"
    assert tags["Release"]


def test_the_instance_the_key_and_the_security_group_are_gone(bench: Bench, made: Run) -> None:
    assert remaining_resources(bench) == []
    assert not (bench.work / "bake" / "local" / "key").exists()


def test_a_second_bake_creates_no_resources(bench: Bench, rented: dict[str, Any], made: Run) -> None:
    again = bench.bake(**rented)
    assert again.status == 0, again.output
    assert "nothing has to be done" in again.output


def test_a_failure_leaves_nothing_behind(bench: Bench, rented: dict[str, Any]) -> None:
    # Ansible stops at an unknown role without running `always`, so the guard removes the resources.
    run = bench.bake(**rented, bake_roles=["ollama.gpu.no_such_role"])
    assert run.status != 0
    assert "no_such_role" in run.output
    wait_for(lambda: remaining_resources(bench) == [], "all resources are removed")


def test_a_port_open_to_all_is_refused(bench: Bench, rented: dict[str, Any]) -> None:
    run = bench.bake(**{**rented, "bake_ssh_cidr": "0.0.0.0/0", "docker_packages": ["docker.io"]})
    assert run.status != 0
    assert "bake_ssh_cidr" in run.message
    assert remaining_resources(bench) == []


def test_a_missing_bootstrap_is_reported(bench: Bench, rented: dict[str, Any]) -> None:
    bucket = CONTRACT.state_bucket(bench.aws.identity.account, "us-east-1")
    key = CONTRACT.state["bootstrap_key"]
    state = bench.aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    bench.aws.s3.delete_object(Bucket=bucket, Key=key)
    try:
        run = bench.bake(**rented, docker_packages=["docker.io"])
    finally:
        bench.aws.s3.put_object(Bucket=bucket, Key=key, Body=state)
    assert run.status != 0
    assert "make bootstrap ENV=local" in run.message
