"""Which images stay: the newest, those in use, those that a release names."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from moto import mock_aws

from ollama_gpu import contract, images, paths
from ollama_gpu.aws import Aws
from ollama_gpu.images import Image

CONTRACT = contract.load(paths.locate().contract)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield Aws("us-east-1")


def image(number: int) -> Image:
    return Image(f"ami-{number}", f"n{number}", f"k{number}", "", f"2026-01-{number:02}", ())


def register(aws: Aws, key: str) -> str:
    labels = images.tags(CONTRACT, "local", "r", key)
    return images.register_container(CONTRACT, aws, f"ollama-gpu-host-{key}", f"ollama-gpu/host:{key}", labels)


def test_the_newest_stay() -> None:
    newest_first = [image(number) for number in (5, 4, 3, 2, 1)]
    assert images.prunable(newest_first, set(), keep=3) == [image(2), image(1)]


def test_an_old_one_in_use_stays() -> None:
    newest_first = [image(number) for number in (5, 4, 3, 2, 1)]
    assert images.prunable(newest_first, {"ami-1"}, keep=3) == [image(2)]


def test_registering_the_same_name_again_gives_the_same_id(aws: Aws) -> None:
    assert register(aws, "a") == register(aws, "a")


def test_a_registered_image_is_found_with_its_key_and_its_container(aws: Aws) -> None:
    identifier = register(aws, "a")
    (found,) = images.baked(CONTRACT, aws)
    assert (found.identifier, found.key, found.container) == (identifier, "a", "ollama-gpu/host:a")


def test_somebody_elses_image_is_none_of_ours(aws: Aws) -> None:
    aws.ec2.register_image(Name="other", RootDeviceName="/dev/xvda")
    assert images.baked(CONTRACT, aws) == []


def test_publishing_twice_changes_nothing_and_another_image_does(aws: Aws) -> None:
    assert images.publish("dev", CONTRACT, aws, "ami-1") is True
    assert images.publish("dev", CONTRACT, aws, "ami-1") is False
    assert images.publish("dev", CONTRACT, aws, "ami-2") is True
    assert aws.ssm.get_parameter(Name=CONTRACT.parameter("image", "dev"))["Parameter"]["Value"] == "ami-2"


def test_an_image_that_any_environment_publishes_is_in_use(aws: Aws) -> None:
    images.publish("staging", CONTRACT, aws, "ami-9")
    assert images.in_use(CONTRACT, aws, versions=1) == {"ami-9"}


def test_an_image_that_an_instance_runs_is_in_use(aws: Aws) -> None:
    identifier = register(aws, "a")
    instance = aws.ec2.run_instances(ImageId=identifier, MinCount=1, MaxCount=1)["Instances"][0]
    assert images.in_use(CONTRACT, aws, versions=1) == {identifier}
    aws.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    assert images.in_use(CONTRACT, aws, versions=1) == set()


def test_of_a_template_the_default_the_newest_and_those_of_a_group_are_in_use(aws: Aws) -> None:
    ids = [register(aws, key) for key in "abcd"]
    aws.ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData={"ImageId": ids[0]})
    for each in ids[1:]:
        aws.ec2.create_launch_template_version(LaunchTemplateName="template", LaunchTemplateData={"ImageId": each})
    assert images.in_use(CONTRACT, aws, versions=1) == {ids[0], ids[3]}
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="g", MinSize=0, MaxSize=0, AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateName": "template", "Version": "2"},
    )  # fmt: skip
    assert images.in_use(CONTRACT, aws, versions=1) == {ids[0], ids[1], ids[3]}


def test_an_image_that_a_release_names_is_in_use(aws: Aws) -> None:
    bucket = CONTRACT.artifact_bucket(aws.identity.account, aws.region)
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_object(Bucket=bucket, Key="prod/releases/r1.json", Body=json.dumps({"image": "ami-7"}).encode())
    aws.s3.put_object(Bucket=bucket, Key="models/x", Body=b"not a record")
    assert images.in_use(CONTRACT, aws, versions=1) == {"ami-7"}


def test_a_pruned_image_takes_its_snapshots_with_it(aws: Aws) -> None:
    instance = aws.ec2.run_instances(ImageId=register(aws, "a"), MinCount=1, MaxCount=1)["Instances"][0]
    made = aws.ec2.create_image(InstanceId=instance["InstanceId"], Name="pruned")["ImageId"]
    labels = images.tags(CONTRACT, "dev", "r", "b")
    aws.ec2.create_tags(Resources=[made], Tags=[{"Key": key, "Value": value} for key, value in labels.items()])
    found = next(each for each in images.baked(CONTRACT, aws) if each.identifier == made)
    assert found.snapshots
    images.deregister(aws, found)
    left = {each["SnapshotId"] for each in aws.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert made not in {each.identifier for each in images.baked(CONTRACT, aws)}
    assert not left & set(found.snapshots)
