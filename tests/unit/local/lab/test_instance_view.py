"""Instances as described by EC2, Auto Scaling, IAM and STS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto import mock_aws

from ollama_gpu.core import contract, paths
from ollama_gpu.core.aws import Aws
from ollama_gpu.environment.images import CONTAINER_TAG
from ollama_gpu.local.lab.instances import credentials, metadata
from ollama_gpu.local.lab.instances.view import View, target_state

CONTRACT = contract.load(paths.locate().contract)
REGION = "us-east-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Aws(REGION)


def launch(aws: Aws, project: str = "ollama-gpu", environment: str = "local", **more: Any) -> str:
    image = aws.ec2.register_image(Name=f"image-{datetime.now(UTC).timestamp()}", RootDeviceName="/dev/xvda")["ImageId"]
    tags = [{"Key": "Project", "Value": project}, {"Key": "Environment", "Value": environment}]
    specifications: list[Any] = [{"ResourceType": "instance", "Tags": tags}]
    answer = aws.ec2.run_instances(
        ImageId=image, InstanceType="g5.xlarge", MinCount=1, MaxCount=1, TagSpecifications=specifications, **more
    )
    return str(answer["Instances"][0]["InstanceId"])


def test_only_running_instances_of_this_environment_are_read(aws: Aws) -> None:
    wanted = launch(aws)
    launch(aws, environment="dev")
    launch(aws, project="something-else")
    ended = launch(aws)
    aws.ec2.terminate_instances(InstanceIds=[ended])
    assert [each.identifier for each in View(aws, "local", CONTRACT).read()] == [wanted]


def test_instance_has_its_image_role_tags_and_user_data(aws: Aws) -> None:
    iam = aws.client("iam")
    role = iam.create_role(RoleName="inference", AssumeRolePolicyDocument="{}", Path="/fleet/")["Role"]["Arn"]
    profile = iam.create_instance_profile(InstanceProfileName="profile")["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName="profile", RoleName="inference")
    identifier = launch(aws, UserData="#!/bin/sh\n", IamInstanceProfile={"Arn": profile})
    view = View(aws, "local", CONTRACT)
    (seen,) = view.read()
    assert seen.identifier == identifier
    assert (seen.user_data, seen.role, seen.profile) == (b"#!/bin/sh\n", role, profile)
    assert (seen.container_image, seen.target_state, seen.lifecycle) == (None, "", "on-demand")
    assert seen.tags["Environment"] == "local"
    aws.ec2.create_tags(Resources=[seen.image_id], Tags=[{"Key": CONTAINER_TAG, "Value": "ollama-gpu/host:1"}])
    (fresh,) = View(aws, "local", CONTRACT).read()
    assert fresh.container_image == "ollama-gpu/host:1"


@pytest.mark.parametrize(
    ("state", "target"),
    [
        ("Pending:Wait", "InService"),
        ("InService", "InService"),
        ("Terminating:Wait", "Terminated"),
        ("EnteringStandby", "Standby"),
        ("Warmed:Pending:Wait", "Warmed:Pending"),
        ("Warmed:Stopped", "Warmed:Stopped"),
    ],
)
def test_target_state_follows_the_lifecycle_state(state: str, target: str) -> None:
    assert target_state(state) == target


def test_credentials_are_renewed_half_an_hour_before_they_expire(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    launch(aws)
    (bare,) = View(aws, "local", CONTRACT).read()
    instance = replace(bare, role="arn:aws:iam::123456789012:role/fleet/inference")
    given = credentials.Credentials(aws)
    first = given.of(instance)
    assert given.of(instance) == first
    assert datetime.fromisoformat(first["Expiration"]) > datetime.now(UTC) + timedelta(minutes=50)
    monkeypatch.setattr(credentials, "RENEW_BEFORE", timedelta(hours=2))
    assert given.of(instance)["AccessKeyId"] != first["AccessKeyId"]
    paths_of = metadata.credentials(instance, first)
    assert list(paths_of) == ["meta-data/iam/security-credentials/inference"]
    assert json.loads(next(iter(paths_of.values())))["Code"] == "Success"


def test_facts_omit_what_the_instance_does_not_have(aws: Aws) -> None:
    launch(aws)
    (bare,) = View(aws, "local", CONTRACT).read()
    facts = metadata.facts(replace(bare, tags={"Name": "x", "a/b": "y"}), "10.0.0.1", "02:42:ac:12:00:02")
    assert facts["meta-data/tags/instance/Name"] == "x"
    assert not {"meta-data/tags/instance/a/b", "meta-data/iam/info", "user-data"} & set(facts)
    assert "meta-data/autoscaling/target-lifecycle-state" not in facts
    leaving = metadata.facts(replace(bare, target_state="Terminated"), "10.0.0.1", "02:42:ac:12:00:02")
    assert leaving["meta-data/autoscaling/target-lifecycle-state"] == "Terminated"
