"""Auto Scaling over a real server, whose own ticker moves the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.embedded.conftest import wait_until

Group = Callable[[], Any]


@pytest.fixture
def template(client: Callable[[str], Any], network: dict[str, Any], name: str) -> str:
    ec2 = client("ec2")
    image = ec2.register_image(Name=name, RootDeviceName="/dev/sda1")["ImageId"]
    data = {"ImageId": image, "InstanceType": "g5.xlarge", "SecurityGroupIds": [network["group"]]}
    created = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    identifier = str(created["LaunchTemplate"]["LaunchTemplateId"])
    ec2.create_launch_template_version(LaunchTemplateId=identifier, LaunchTemplateData={**data, "UserData": "c2Vjb25k"})
    return identifier


@pytest.fixture
def group(client: Callable[[str], Any], network: dict[str, Any], name: str, template: str) -> Group:
    """Create a group with two instances in service. Returns a function that describes the group."""
    asg = client("autoscaling")
    asg.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=2,
        MaxSize=4,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        VPCZoneIdentifier=",".join(network["subnets"]),
        LifecycleHookSpecificationList=[
            {"LifecycleHookName": "ready", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
        ],
    )

    def describe() -> Any:
        return asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]

    wait_until(lambda: in_service(describe()) == 2)
    return describe


def in_service(group: Any) -> int:
    return sum(each["LifecycleState"] == "InService" for each in group["Instances"])


def test_terminated_instance_is_replaced_in_its_zone(client: Callable[[str], Any], group: Group) -> None:
    gone = group()["Instances"][0]
    client("ec2").terminate_instances(InstanceIds=[gone["InstanceId"]])

    def replaced() -> bool:
        ids = [each["InstanceId"] for each in group()["Instances"]]
        return gone["InstanceId"] not in ids and in_service(group()) == 2

    wait_until(replaced)
    assert len({each["AvailabilityZone"] for each in group()["Instances"]}) == 2


def test_refresh_succeeds_and_emptied_group_is_deleted(
    client: Callable[[str], Any], group: Group, name: str, template: str
) -> None:
    asg = client("autoscaling")
    asg.start_instance_refresh(
        AutoScalingGroupName=name,
        DesiredConfiguration={"LaunchTemplate": {"LaunchTemplateId": template, "Version": "2"}},
        Preferences={"InstanceWarmup": 0, "AutoRollback": True, "MinHealthyPercentage": 100},
    )

    def status() -> str:
        found = asg.describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"]
        return str(found[0]["Status"])

    wait_until(lambda: status() == "Successful", 40)
    assert {each["LaunchTemplate"]["Version"] for each in group()["Instances"]} == {"2"}
    asg.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, MaxSize=0, DesiredCapacity=0)
    wait_until(lambda: not group()["Instances"], 10)
    asg.delete_auto_scaling_group(AutoScalingGroupName=name)
