"""Find, register, publish and prune machine images.

The published image of an environment is the one that its next launch template version uses.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of, delete_parameter, parameter
from ollama_gpu.core.contract import Contract
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import ImageTypeDef

STOCK_PARAMETER = "/aws/service/debian/release/12/latest/amd64"
"""Debian's public parameter for its current Debian 12 image (wiki.debian.org/Cloud/AmazonEC2Image)."""

KEY_TAG = "ImageKey"
"""Tag of a baked image. The value is the key of its content."""

CONTAINER_TAG = "ContainerImage"
"""Tag of an image of the embedded AWS. The value is the container image that its instances run as."""

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


def ensure(context: Context) -> str | None:
    """Publish the stock image if no image is published yet. Returns its id if it was published.

    Instances of the stock image reach the same state through the same roles, but boot more slowly.
    """
    name = context.contract.parameter("image", context.environment.name)
    if parameter(context.aws, name) is not None:
        return None
    stock = stock_image(context.aws)
    if stock is None:
        raise UserError(
            f"{context.environment.region} has no public parameter {STOCK_PARAMETER}.",
            f"Bake an image, or set the parameter {name} to an AMI id.",
        )
    publish(context, stock)
    return stock


def described(aws: Aws, identifier: str) -> ImageTypeDef | None:
    """EC2's description of an image of any owner, or None if no image has this id."""
    try:
        found = aws.ec2.describe_images(ImageIds=[identifier])["Images"]
    except ClientError as error:
        if not code_of(error).startswith("InvalidAMIID"):
            raise
        return None
    return found[0] if found else None


def stock_image(aws: Aws) -> str | None:
    """The id of the stock image that a bake starts from, or None if the region has none."""
    return parameter(aws, STOCK_PARAMETER)


def publish(context: Context, image: str) -> bool:
    """Make an image the one of the next launch template version. Returns False if it already is."""
    name = context.contract.parameter("image", context.environment.name)
    published = parameter(context.aws, name)
    if published == image:
        return False
    if published is not None:
        # AWS refuses tags together with Overwrite. The tags of the first publication stay.
        context.aws.ssm.put_parameter(Name=name, Value=image, Type="String", DataType="aws:ec2:image", Overwrite=True)
        return True
    context.aws.ssm.put_parameter(
        Name=name,
        Description="AMI of the next launch template version",
        Value=image,
        Type="String",
        DataType="aws:ec2:image",
        Tags=[
            {"Key": key, "Value": text} for key, text in context.contract.driver_tags(context.environment.name).items()
        ],
    )
    return True


def unpublish(context: Context) -> None:
    """Delete the parameter that names the published image. The images stay."""
    delete_parameter(context.aws, context.contract.parameter("image", context.environment.name))


def tags(contract: Contract, environment: str, release: str, key: str) -> dict[str, str]:
    """The tags of a baked image and its snapshots."""
    return {
        "Name": f"{contract.project}-host",
        **contract.driver_tags(environment),
        contract.tags["release"]: release,
        KEY_TAG: key,
    }


def baked(context: Context) -> list[Image]:
    """All available baked images of this account and region, newest first."""
    filters: list[Any] = [
        {"Name": f"tag:{context.contract.tags['project']}", "Values": [context.contract.project]},
        {"Name": "tag-key", "Values": [KEY_TAG]},
        {"Name": "state", "Values": ["available"]},
    ]
    found = context.aws.ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
    return sorted(map(_image, found), key=lambda image: (image.created, image.name), reverse=True)


def register_container(context: Context, name: str, container: str, labels: dict[str, str]) -> str:
    """Register a container image with the embedded AWS and return an image id. The same name gets the same id."""
    known = context.aws.ec2.describe_images(Owners=["self"], Filters=[{"Name": "name", "Values": [name]}])["Images"]
    if known:
        identifier = known[0]["ImageId"]
    else:
        identifier = context.aws.ec2.register_image(
            Name=name,
            Description=f"{context.contract.project} host, container image {container}",
            Architecture="x86_64",
            RootDeviceName=ROOT_DEVICE,
            VirtualizationType="hvm",
            BlockDeviceMappings=[{"DeviceName": ROOT_DEVICE, "Ebs": {"VolumeSize": 8, "DeleteOnTermination": True}}],
        )["ImageId"]
    new_tags = {**labels, CONTAINER_TAG: container}
    context.aws.ec2.create_tags(
        Resources=[identifier], Tags=[{"Key": key, "Value": value} for key, value in sorted(new_tags.items())]
    )
    return identifier


def prunable(images: Sequence[Image], used: Collection[str], keep: int) -> list[Image]:
    """The images that can be removed: not in use and not among the newest ``keep``. ``images`` are newest first."""
    return [image for image in images[keep:] if image.identifier not in used]


def in_use(context: Context, versions: int) -> set[str]:
    """Ids of the images that must stay: used by instances or launch templates, published, or recorded in a release.

    In a launch template, these versions count: the default, those that Auto Scaling groups name, and the newest
    ``versions``. Older ones do not, because every deploy adds a version, and a rollback needs only the images of
    recorded releases.
    """
    return {
        *_of_instances(context.aws),
        *_of_templates(context.aws, versions),
        *_published(context),
        *_released(context),
    }


def deregister(aws: Aws, image: Image) -> None:
    """Remove an image and its snapshots. AWS would otherwise keep the snapshots and charge for them."""
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
    of_groups = {(str(name), str(version)) for name, version in _versions_of_groups(aws)}
    for page in aws.ec2.get_paginator("describe_launch_templates").paginate():
        for template in page["LaunchTemplates"]:
            name, latest = template["LaunchTemplateName"], template["LatestVersionNumber"]
            described = aws.ec2.get_paginator("describe_launch_template_versions").paginate(LaunchTemplateName=name)
            for version in (each for answer in described for each in answer["LaunchTemplateVersions"]):
                number = version["VersionNumber"]
                used = (
                    version["DefaultVersion"]
                    or number > latest - versions
                    or {(name, str(number)), (template["LaunchTemplateId"], str(number))} & of_groups
                )
                if used and version["LaunchTemplateData"].get("ImageId"):
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


def _published(context: Context) -> Iterator[str]:
    # The parameters of all environments: environments with the same inputs share an image.
    folder, _, ending = context.contract.parameters["image"].partition("{environment}")
    pages = context.aws.ssm.get_paginator("get_parameters_by_path").paginate(Path=folder, Recursive=True)
    for found in (each for page in pages for each in page["Parameters"]):
        if found["Name"].endswith(ending):
            yield found["Value"]


def _released(context: Context) -> Iterator[str]:
    bucket = context.contract.artifact_bucket(context.aws.identity.account, context.aws.region)
    folder = context.contract.artifacts["record"].partition("{environment}")[2].partition("{release}")[0]
    try:
        pages = list(context.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket))
    except ClientError as error:
        if code_of(error) == "NoSuchBucket":  # the account is not bootstrapped, so it has no records
            return
        raise
    for key in (each["Key"] for page in pages for each in page.get("Contents", [])):
        if folder in key and key.endswith(".json"):
            record = json.loads(context.aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            if record.get("image"):
                yield record["image"]
