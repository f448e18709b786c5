"""EC2: launch templates, instances launched from them, images, and flow logs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]

USER_DATA = base64.b64encode(b"#cloud-config\n").decode()


def stock_image(client: Client) -> str:
    image: str = client("ssm").get_parameter(Name="/aws/service/debian/release/12/latest/amd64")["Parameter"]["Value"]
    return image


def template_data(client: Client, group: str) -> dict[str, Any]:
    return {
        "ImageId": stock_image(client),
        "InstanceType": "g5.xlarge",
        "UserData": USER_DATA,
        "SecurityGroupIds": [group],
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "Monitoring": {"Enabled": True},
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"VolumeSize": 100, "VolumeType": "gp3", "Iops": 4000, "Throughput": 500, "Encrypted": True},
            },
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"},
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "Fleet", "Value": "interactive"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "Fleet", "Value": "disk"}]},
        ],
    }


def launch(client: Client, name: str, version: str, subnet: str) -> dict[str, Any]:
    ec2 = client("ec2")
    started = ec2.run_instances(
        LaunchTemplate={"LaunchTemplateName": name, "Version": version}, SubnetId=subnet, MinCount=1, MaxCount=1
    )
    identifier = started["Instances"][0]["InstanceId"]
    instance: dict[str, Any] = ec2.describe_instances(InstanceIds=[identifier])["Reservations"][0]["Instances"][0]
    return instance


def volumes_of(client: Client, instance: dict[str, Any]) -> list[dict[str, Any]]:
    filters = [{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
    volumes: list[dict[str, Any]] = client("ec2").describe_volumes(Filters=filters)["Volumes"]
    return volumes


def test_launch_template_tags_are_not_in_its_data(client: Client, name: str) -> None:
    ec2 = client("ec2")
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "Project", "Value": "x"}]}]
    ec2.create_launch_template(
        LaunchTemplateName=name, TagSpecifications=tags, LaunchTemplateData={"InstanceType": "g5.xlarge"}
    )
    version = ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"][0]
    template = ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"][0]
    assert not version["LaunchTemplateData"].get("TagSpecifications")
    assert template["Tags"] == [{"Key": "Project", "Value": "x"}]
    ec2.create_tags(Resources=[template["LaunchTemplateId"]], Tags=[{"Key": "Project", "Value": "y"}])
    changed = ec2.describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"][0]
    assert changed["Tags"] == [{"Key": "Project", "Value": "y"}]


def test_instance_follows_second_template_version(client: Client, name: str, network: dict[str, Any]) -> None:
    ec2 = client("ec2")
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "g4dn.xlarge"})
    ec2.create_launch_template_version(
        LaunchTemplateName=name, LaunchTemplateData=template_data(client, network["group"])
    )
    instance = launch(client, name, "2", network["subnets"][0])
    assert instance["InstanceType"] == "g5.xlarge"
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [network["group"]]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
    assert instance["Monitoring"]["State"] == "enabled"
    assert instance["RootDeviceName"] == "/dev/xvda"
    assert {"Key": "Fleet", "Value": "interactive"} in instance["Tags"]
    attribute = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
    assert attribute["UserData"]["Value"] == USER_DATA


def test_instance_has_only_root_volume_of_template(client: Client, name: str, network: dict[str, Any]) -> None:
    client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=template_data(client, network["group"])
    )
    [volume] = volumes_of(client, launch(client, name, "1", network["subnets"][0]))
    assert (volume["Size"], volume["VolumeType"], volume["Encrypted"]) == (100, "gp3", True)
    assert (volume["Iops"], volume["Throughput"]) == (4000, 500)
    assert volume["Tags"] == [{"Key": "Fleet", "Value": "disk"}]


def test_volumes_are_deleted_with_instance(client: Client, name: str, network: dict[str, Any]) -> None:
    client("ec2").create_launch_template(
        LaunchTemplateName=name, LaunchTemplateData=template_data(client, network["group"])
    )
    instance = launch(client, name, "1", network["subnets"][0])
    client("ec2").terminate_instances(InstanceIds=[instance["InstanceId"]])
    assert volumes_of(client, instance) == []


def test_instance_has_security_groups_of_template_interface(client: Client, name: str, network: dict[str, Any]) -> None:
    interface = {"DeviceIndex": 0, "Groups": [network["group"]], "AssociatePublicIpAddress": False}
    data = {"ImageId": stock_image(client), "InstanceType": "g5.xlarge", "NetworkInterfaces": [interface]}
    client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    instance = launch(client, name, "1", network["subnets"][0])
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [network["group"]]
    assert "PublicIpAddress" not in instance


def test_instance_has_instance_profile_of_template(client: Client, name: str, network: dict[str, Any]) -> None:
    arn = client("iam").create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    data = {"ImageId": stock_image(client), "InstanceType": "g5.xlarge", "IamInstanceProfile": {"Arn": arn}}
    client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    assert launch(client, name, "1", network["subnets"][0])["IamInstanceProfile"]["Arn"] == arn


def test_image_and_snapshot_have_their_tags(client: Client, name: str, network: dict[str, Any]) -> None:
    ec2 = client("ec2")
    instance = ec2.run_instances(ImageId=stock_image(client), MinCount=1, MaxCount=1, SubnetId=network["subnets"][0])
    identifier = instance["Instances"][0]["InstanceId"]
    tags = [{"Key": "Release", "Value": name}]
    specification = [{"ResourceType": kind, "Tags": tags} for kind in ("image", "snapshot")]
    image = ec2.create_image(InstanceId=identifier, Name=name, TagSpecifications=specification)["ImageId"]
    described = ec2.describe_images(ImageIds=[image])["Images"][0]
    snapshot = described["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert described["Tags"] == tags
    assert ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["Tags"] == tags
    with pytest.raises(ClientError, match="already in use"):
        ec2.create_image(InstanceId=identifier, Name=name)


def test_flow_log_with_log_group_arn_is_delivered(client: Client, name: str, network: dict[str, Any]) -> None:
    client("logs").create_log_group(logGroupName=name)
    arn = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["arn"]
    created = client("ec2").create_flow_logs(
        ResourceIds=[network["vpc"]],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="cloud-watch-logs",
        LogDestination=arn,
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow",
    )
    [flow_log] = client("ec2").describe_flow_logs(FlowLogIds=created["FlowLogIds"])["FlowLogs"]
    assert flow_log["DeliverLogsStatus"] == "SUCCESS"


def test_registered_image_reads_back(client: Client, name: str) -> None:
    ec2 = client("ec2")
    devices: Any = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 12}}]
    registered = ec2.register_image(
        Name=name,
        Architecture="x86_64",
        RootDeviceName="/dev/xvda",
        VirtualizationType="hvm",
        BlockDeviceMappings=devices,
    )
    image = ec2.describe_images(ImageIds=[registered["ImageId"]])["Images"][0]
    assert (image["Architecture"], image["RootDeviceName"], image["VirtualizationType"]) == (
        "x86_64",
        "/dev/xvda",
        "hvm",
    )
    assert image["BlockDeviceMappings"][0]["DeviceName"] == "/dev/xvda"
    assert image["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 12


def test_account_has_debian_image(client: Client) -> None:
    [image] = client("ec2").describe_images(
        Owners=["136693071363"], Filters=[{"Name": "name", "Values": ["debian-12-amd64-*"]}]
    )["Images"]
    assert image["ImageId"] == stock_image(client)
    assert (image["Architecture"], image["VirtualizationType"], image["State"]) == ("x86_64", "hvm", "available")
    assert image["RootDeviceName"] == "/dev/xvda"


@pytest.mark.parametrize("key", ["Cost Center", "kubernetes.io/cluster", "_index"])
def test_tag_key_that_instance_metadata_cannot_show_prevents_the_launch(
    client: Client, network: dict[str, Any], name: str, key: str
) -> None:
    data = template_data(client, network["group"])
    data["TagSpecifications"] = [{"ResourceType": "instance", "Tags": [{"Key": key, "Value": "42"}]}]
    client("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    assert launch(client, name, "1", network["subnets"][0])["State"]["Name"] == "running"
    data["MetadataOptions"]["InstanceMetadataTags"] = "enabled"
    client("ec2").create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData=data)
    with pytest.raises(ClientError, match=f"'{key}' is not a valid tag key"):
        launch(client, name, "2", network["subnets"][0])


def test_address_above_the_quota_is_refused(client: Client) -> None:
    ec2 = client("ec2")
    code = {"ServiceCode": "ec2", "QuotaCode": "L-0263D0A3"}
    quota = int(client("service-quotas").get_service_quota(**code)["Quota"]["Value"])
    existing = len(ec2.describe_addresses()["Addresses"])
    allocated = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(quota - existing)]
    with pytest.raises(ClientError, match="AddressLimitExceeded"):
        ec2.allocate_address(Domain="vpc")
    for address in allocated:
        ec2.release_address(AllocationId=address)
    ec2.release_address(AllocationId=ec2.allocate_address(Domain="vpc")["AllocationId"])
