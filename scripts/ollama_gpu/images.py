"""Which machine image an environment starts from, and the images that were baked: find, register, publish, prune."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of, delete_parameter, parameter
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

STOCK_PARAMETER = "/aws/service/debian/release/12/latest/amd64"
"""Debian's public parameter for its current Debian 12 image (wiki.debian.org/Cloud/AmazonEC2Image)."""

KEY_TAG = "ImageKey"
"""Tag of a baked image: the key of its content."""

CONTAINER_TAG = "ContainerImage"
"""Tag of an image of the embedded AWS: the container image that its instances are."""

ROOT_DEVICE = "/dev/xvda"


@dataclass(frozen=True)
class Image:
    """A baked image. ``container`` is empty except in the embedded AWS; ``created`` sorts by time."""

    identifier: str
    name: str
    key: str
    container: str
    created: str
    snapshots: tuple[str, ...]


def ensure(environment: Environment, contract: Contract, aws: Aws) -> str | None:
    """Publish the stock image where no image has been published yet; return its id when that was needed.

    Instances of a stock image converge to the same state by the same roles, only slower.
    """
    name = contract.parameter("image", environment.name)
    if parameter(aws, name) is not None:
        return None
    stock = stock_image(aws)
    if stock is None:
        raise UserError(
            f"{environment.region} has no public parameter {STOCK_PARAMETER}.",
            f"Bake an image, or write an AMI id into the parameter {name} yourself.",
        )
    publish(environment.name, contract, aws, stock)
    return stock


def described(aws: Aws, identifier: str) -> ImageTypeDef | None:
    """What EC2 says of an image, whoever made it; None where there is none of that id."""
    try:
        found = aws.ec2.describe_images(ImageIds=[identifier])["Images"]
    except ClientError as error:
        if not code_of(error).startswith("InvalidAMIID"):
            raise
        return None
    return found[0] if found else None


def stock_image(aws: Aws) -> str | None:
    """The id of the stock image that a bake starts from, or None where the region has none."""
    return parameter(aws, STOCK_PARAMETER)


def publish(environment: str, contract: Contract, aws: Aws, image: str) -> bool:
    """Make an image the one of the next launch template version; False when it was that already."""
    name = contract.parameter("image", environment)
    seen = parameter(aws, name)
    if seen == image:
        return False
    if seen is not None:
        # AWS takes no tags together with Overwrite; those of the first time stay.
        aws.ssm.put_parameter(Name=name, Value=image, Type="String", DataType="aws:ec2:image", Overwrite=True)
        return True
    aws.ssm.put_parameter(
        Name=name,
        Description="AMI of the next launch template version",
        Value=image,
        Type="String",
        DataType="aws:ec2:image",
        Tags=[{"Key": key, "Value": text} for key, text in contract.driver_tags(environment).items()],
    )
    return True


def forget(environment: Environment, contract: Contract, aws: Aws) -> None:
    """Remove the parameter; images themselves stay."""
    delete_parameter(aws, contract.parameter("image", environment.name))


def tags(contract: Contract, environment: str, release: str, key: str) -> dict[str, str]:
    """What a baked image and its snapshots are tagged with."""
    return {
        "Name": f"{contract.project}-host",
        **contract.driver_tags(environment),
        contract.tags["release"]: release,
        KEY_TAG: key,
    }


def baked(contract: Contract, aws: Aws) -> list[Image]:
    """Every baked image of this account and region that can be started, newest first."""
    filters: list[Any] = [
        {"Name": f"tag:{contract.tags['project']}", "Values": [contract.project]},
        {"Name": "tag-key", "Values": [KEY_TAG]},
        {"Name": "state", "Values": ["available"]},
    ]
    found = aws.ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
    return sorted(map(_image, found), key=lambda image: (image.created, image.name), reverse=True)


def register_container(contract: Contract, aws: Aws, name: str, container: str, labels: dict[str, str]) -> str:
    """The embedded AWS: an image id that stands for a container image. The same name gives the same id."""
    known = aws.ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])["Images"]
    if known:
        identifier = known[0]["ImageId"]
    else:
        identifier = aws.ec2.register_image(
            Name=name,
            Description=f"{contract.project} host, container image {container}",
            Architecture="x86_64",
            RootDeviceName=ROOT_DEVICE,
            VirtualizationType="hvm",
            BlockDeviceMappings=[{"DeviceName": ROOT_DEVICE, "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}],
        )["ImageId"]
    wanted = {**labels, CONTAINER_TAG: container}
    aws.ec2.create_tags(
        Resources=[identifier], Tags=[{"Key": key, "Value": value} for key, value in sorted(wanted.items())]
    )
    return identifier


def prunable(images: Sequence[Image], used: Collection[str], keep: int) -> list[Image]:
    """Of images sorted newest first, those beyond the newest ``keep`` that nothing uses."""
    return [image for image in images[keep:] if image.identifier not in used]


def in_use(contract: Contract, aws: Aws, versions: int) -> set[str]:
    """Image ids that must stay: of instances, of launch templates, published, or recorded in a release.

    Of a launch template count the default, those that Auto Scaling groups name, and the newest ``versions``:
    every deploy adds a version, and nothing goes back further than a recorded release.
    """
    return {
        *_of_instances(aws),
        *_of_templates(aws, versions),
        *_published(contract, aws),
        *_released(contract, aws),
    }


def deregister(aws: Aws, image: Image) -> None:
    """Remove an image and its snapshots, which AWS keeps and charges for otherwise."""
    aws.ec2.deregister_image(ImageId=image.identifier)
    for snapshot in image.snapshots:
        try:
            aws.ec2.delete_snapshot(SnapshotId=snapshot)
        except ClientError as error:
            if code_of(error) != "InvalidSnapshot.NotFound":
                raise


def _image(found: Any) -> Image:
    labels = {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}
    volumes = [mapping.get("Ebs", {}) for mapping in found.get("BlockDeviceMappings", [])]
    return Image(
        found["ImageId"],
        found.get("Name", ""),
        labels.get(KEY_TAG, ""),
        labels.get(CONTAINER_TAG, ""),
        found.get("CreationDate", ""),
        tuple(volume["SnapshotId"] for volume in volumes if volume.get("SnapshotId")),
    )


def _of_instances(aws: Aws) -> Iterator[str]:
    for page in aws.ec2.get_paginator("describe_instances").paginate():
        for reservation in page["Reservations"]:
            for instance in reservation["Instances"]:
                if instance["State"]["Name"] != "terminated":
                    yield instance["ImageId"]


def _of_templates(aws: Aws, versions: int) -> Iterator[str]:
    named = {(str(name), str(version)) for name, version in _versions_of_groups(aws)}
    for page in aws.ec2.get_paginator("describe_launch_templates").paginate():
        for template in page["LaunchTemplates"]:
            name, latest = template["LaunchTemplateName"], template["LatestVersionNumber"]
            described = aws.ec2.get_paginator("describe_launch_template_versions").paginate(LaunchTemplateName=name)
            for version in (each for answer in described for each in answer["LaunchTemplateVersions"]):
                number = version["VersionNumber"]
                counts = (
                    version["DefaultVersion"]
                    or number > latest - versions
                    or {(name, str(number)), (template["LaunchTemplateId"], str(number))} & named
                )
                if counts and version["LaunchTemplateData"].get("ImageId"):
                    yield version["LaunchTemplateData"]["ImageId"]


def _versions_of_groups(aws: Aws) -> Iterator[tuple[str, str]]:
    for page in aws.autoscaling.get_paginator("describe_auto_scaling_groups").paginate():
        for group in page["AutoScalingGroups"]:
            policy: Any = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
            specifications: Iterable[Any] = [
                group.get("LaunchTemplate"),
                policy.get("LaunchTemplateSpecification"),
                *(override.get("LaunchTemplateSpecification") for override in policy.get("Overrides", [])),
            ]
            for each in specifications:
                if each:
                    yield each.get("LaunchTemplateId") or each.get("LaunchTemplateName"), each.get("Version", "")


def _published(contract: Contract, aws: Aws) -> Iterator[str]:
    # of every environment: one image serves several when their inputs agree
    folder, _, ending = contract.parameters["image"].partition("{environment}")
    pages = aws.ssm.get_paginator("get_parameters_by_path").paginate(Path=folder, Recursive=True)
    for found in (each for page in pages for each in page["Parameters"]):
        if found["Name"].endswith(ending):
            yield found["Value"]


def _released(contract: Contract, aws: Aws) -> Iterator[str]:
    bucket = contract.artifact_bucket(aws.identity.account, aws.region)
    folder = contract.artifacts["record"].partition("{environment}")[2].partition("{release}")[0]
    try:
        pages = list(aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    except ClientError as error:
        if code_of(error) == "NoSuchBucket":  # the account was never bootstrapped: nothing can be recorded
            return
        raise
    for key in (each["Key"] for page in pages for each in page.get("Contents", [])):
        if folder in key and key.endswith(".json"):
            record = json.loads(aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            if record.get("image"):
                yield record["image"]
