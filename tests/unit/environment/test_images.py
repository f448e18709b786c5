"""Tests of ollama_gpu.environment.images: registering, publishing, and which images are kept."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from moto import mock_aws

from ollama_gpu.core import contract, paths
from ollama_gpu.core.aws import Aws
from ollama_gpu.environment import images, settings
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.images import Image
from tests.contexts import context_of

CONTRACT = contract.load(paths.locate().contract)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield Aws("us-east-1")


def context(environment: str, aws: Aws) -> Context:
    return context_of(settings.load(paths.locate(), environment), CONTRACT, aws)


def image(number: int) -> Image:
    return Image(f"ami-{number}", f"n{number}", f"k{number}", "", f"2026-01-{number:02}", ())


def register(aws: Aws, key: str) -> str:
    labels = images.tags(CONTRACT, "local", "r", key)
    return images.register_container(context("local", aws), f"ollama-gpu-host-{key}", f"ollama-gpu/host:{key}", labels)


def test_the_newest_images_are_kept() -> None:
    newest_first = [image(number) for number in (5, 4, 3, 2, 1)]
    assert images.prunable(newest_first, set(), keep=3) == [image(2), image(1)]


def test_an_old_image_in_use_is_kept() -> None:
    newest_first = [image(number) for number in (5, 4, 3, 2, 1)]
    assert images.prunable(newest_first, {"ami-1"}, keep=3) == [image(2)]


def test_registering_the_same_name_again_gives_the_same_id(aws: Aws) -> None:
    assert register(aws, "a") == register(aws, "a")


def test_a_registered_image_is_listed_with_its_key_and_container(aws: Aws) -> None:
    identifier = register(aws, "a")
    (found,) = images.baked(context("local", aws))
    assert (found.identifier, found.key, found.container) == (identifier, "a", "ollama-gpu/host:a")


def test_an_image_without_the_projects_tags_is_ignored(aws: Aws) -> None:
    aws.ec2.register_image(Name="other", RootDeviceName="/dev/xvda")
    assert images.baked(context("local", aws)) == []


def test_publishing_changes_the_parameter_only_for_another_image(aws: Aws) -> None:
    assert images.publish(context("dev", aws), "ami-1") is True
    assert images.publish(context("dev", aws), "ami-1") is False
    assert images.publish(context("dev", aws), "ami-2") is True
    assert aws.ssm.get_parameter(Name=CONTRACT.parameter("image", "dev"))["Parameter"]["Value"] == "ami-2"


def test_the_published_image_of_any_environment_is_in_use(aws: Aws) -> None:
    images.publish(context("staging", aws), "ami-9")
    assert images.in_use(context("local", aws), versions=1) == {"ami-9"}


def test_the_image_of_an_instance_is_in_use_until_it_is_terminated(aws: Aws) -> None:
    identifier = register(aws, "a")
    instance = aws.ec2.run_instances(ImageId=identifier, MinCount=1, MaxCount=1)["Instances"][0]
    assert images.in_use(context("local", aws), versions=1) == {identifier}
    aws.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    assert images.in_use(context("local", aws), versions=1) == set()


def test_images_of_default_newest_and_group_launch_template_versions_are_in_use(aws: Aws) -> None:
    ids = [register(aws, key) for key in "abcd"]
    aws.ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData={"ImageId": ids[0]})
    for each in ids[1:]:
        aws.ec2.create_launch_template_version(LaunchTemplateName="template", LaunchTemplateData={"ImageId": each})
    assert images.in_use(context("local", aws), versions=1) == {ids[0], ids[3]}
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="g", MinSize=0, MaxSize=0, AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateName": "template", "Version": "2"},
    )  # fmt: skip
    assert images.in_use(context("local", aws), versions=1) == {ids[0], ids[1], ids[3]}


def test_the_image_of_a_recorded_release_is_in_use(aws: Aws) -> None:
    bucket = CONTRACT.artifact_bucket(aws.identity.account, aws.region)
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_object(Bucket=bucket, Key="prod/releases/r1.json", Body=json.dumps({"image": "ami-7"}).encode())
    aws.s3.put_object(Bucket=bucket, Key="models/x", Body=b"not a record")
    assert images.in_use(context("local", aws), versions=1) == {"ami-7"}


def test_deregistering_an_image_deletes_its_snapshots(aws: Aws) -> None:
    instance = aws.ec2.run_instances(ImageId=register(aws, "a"), MinCount=1, MaxCount=1)["Instances"][0]
    made = aws.ec2.create_image(InstanceId=instance["InstanceId"], Name="pruned")["ImageId"]
    labels = images.tags(CONTRACT, "dev", "r", "b")
    aws.ec2.create_tags(Resources=[made], Tags=[{"Key": key, "Value": value} for key, value in labels.items()])
    found = next(each for each in images.baked(context("local", aws)) if each.identifier == made)
    assert found.snapshots
    images.deregister(aws, found)
    left = {each["SnapshotId"] for each in aws.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]}
    assert made not in {each.identifier for each in images.baked(context("local", aws))}
    assert not left & set(found.snapshots)
