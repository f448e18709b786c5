"""Auto Scaling groups reach and keep their desired capacity."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .autoscaling_fabric import Fabric, fabric

__all__ = ["fabric"]


def test_instances_are_spread_over_zones(fabric: Fabric) -> None:
    fabric.create(desired=5)
    fabric.settle()
    assert sorted(fabric.zones().values()) == [1, 2, 2]
    assert {instance["SubnetId"] for instance in fabric.running()} == set(fabric.subnets)


def test_zones_stay_balanced_after_replacement_and_scale_in(fabric: Fabric) -> None:
    fabric.create(desired=6)
    fabric.settle()
    for instance in fabric.running()[:2]:
        fabric.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    fabric.settle()
    assert fabric.zones() == Counter(a=2, b=2, c=2)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=3)
    fabric.settle()
    assert fabric.zones() == Counter(a=1, b=1, c=1)


def test_instances_move_to_new_subnets(fabric: Fabric) -> None:
    fabric.create(desired=4, VPCZoneIdentifier=fabric.subnets[0])
    fabric.settle()
    fabric.update(VPCZoneIdentifier=",".join(fabric.subnets[1:]))
    fabric.tick_until(lambda: fabric.zones() == Counter(b=2, c=2) and fabric.states() == Counter(InService=4))


def test_instance_is_pending_before_it_is_in_service(fabric: Fabric) -> None:
    fabric.create(desired=1)
    assert fabric.instances() == []
    fabric.tick()
    assert fabric.states() == Counter(Pending=1)
    fabric.tick()
    assert fabric.states() == Counter(InService=1)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"low": 3, "high": 2}, "Max bound, 2, must be greater than or equal to min bound, 3"),
        (
            {"low": 1, "high": 2, "desired": 3},
            "Desired capacity:3 must be between the specified min size:1 and max size:2",
        ),
    ],
)
def test_contradictory_sizes_are_rejected(fabric: Fabric, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        fabric.create(**sizes)
    assert fabric.asg.describe_auto_scaling_groups()["AutoScalingGroups"] == []


@pytest.mark.parametrize(("desired", "side"), [(1, "below min value 2"), (5, "above max value 4")])
def test_desired_capacity_outside_min_and_max_is_rejected(fabric: Fabric, desired: int, side: str) -> None:
    fabric.create(2, 4)
    with pytest.raises(ClientError, match=f"New SetDesiredCapacity value {desired} is {side}") as error:
        fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=desired)
    assert error.value.response["Error"]["Code"] == "ValidationError"
    assert fabric.group()["DesiredCapacity"] == 2


def test_new_min_and_max_adjust_desired_capacity(fabric: Fabric) -> None:
    fabric.create(1, 4, 2)
    fabric.update(MinSize=3)
    assert fabric.group()["DesiredCapacity"] == 3
    fabric.update(MinSize=0, MaxSize=1)
    fabric.settle()
    assert len(fabric.instances()) == 1


def test_instance_has_security_groups_tags_and_user_data_of_template_version(fabric: Fabric) -> None:
    version = fabric.new_version("c2Vjb25k")
    fabric.create(
        desired=1,
        LaunchTemplate=fabric.specification(version),
        Tags=[
            {"Key": "Project", "Value": "ollama", "PropagateAtLaunch": True},
            {"Key": "Hidden", "Value": "yes", "PropagateAtLaunch": False},
        ],
    )
    fabric.settle()
    (instance,) = fabric.running()
    tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    assert instance["ImageId"] == fabric.image
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [fabric.security_group]
    assert (tags["From"], tags["Project"]) == ("template", "ollama")
    assert tags["aws:autoscaling:groupName"] == "fleet"
    assert "Hidden" not in tags
    user_data = fabric.ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
    assert user_data["UserData"]["Value"] == "c2Vjb25k"
    (member,) = fabric.instances()
    assert member["LaunchTemplate"] == {
        "LaunchTemplateId": fabric.template,
        "LaunchTemplateName": "fleet",
        "Version": "2",
    }
    assert (member["InstanceType"], member["HealthStatus"], member["ProtectedFromScaleIn"]) == (
        "g5.xlarge",
        "Healthy",
        False,
    )


@pytest.mark.parametrize(("alias", "launched"), [("$Latest", "2"), ("$Default", "1")])
def test_version_alias_resolves_to_current_version(fabric: Fabric, alias: str, launched: str) -> None:
    fabric.new_version()
    fabric.create(desired=1, LaunchTemplate=fabric.specification(alias))
    fabric.settle()
    assert fabric.versions() == Counter({launched: 1})
    assert fabric.group()["LaunchTemplate"]["Version"] == alias


def test_terminated_instance_leaves_no_interface_or_volume(fabric: Fabric) -> None:
    fabric.create(desired=2)
    fabric.settle()
    fabric.update(MinSize=0, MaxSize=0, DesiredCapacity=0)
    fabric.settle()
    assert fabric.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    assert fabric.ec2.describe_volumes()["Volumes"] == []


def test_template_with_unknown_image_is_rejected(fabric: Fabric) -> None:
    fabric.image = "ami-00000000"
    version = fabric.new_version()
    with pytest.raises(ClientError, match=r"The image id '\[ami-00000000\]' does not exist"):
        fabric.create(desired=1, LaunchTemplate=fabric.specification(version))


def test_first_override_that_zone_offers_is_launched(fabric: Fabric) -> None:
    # moto's catalogue of us-east-1 offers p3dn.24xlarge in zones c and d only
    fabric.create(desired=3, MixedInstancesPolicy=fabric.mixed("p3dn.24xlarge", "g4dn.xlarge"))
    fabric.settle()
    types = {each["AvailabilityZone"][-1]: each["InstanceType"] for each in fabric.instances()}
    assert types == {"a": "g4dn.xlarge", "b": "g4dn.xlarge", "c": "p3dn.24xlarge"}


def test_spot_percentage_applies_above_on_demand_base(fabric: Fabric) -> None:
    policy = fabric.mixed("g5.xlarge", OnDemandBaseCapacity=2, OnDemandPercentageAboveBaseCapacity=50)
    fabric.create(desired=6, MixedInstancesPolicy=policy)
    fabric.settle()
    assert Counter(each.get("InstanceLifecycle", "on-demand") for each in fabric.running()) == Counter(
        {"on-demand": 4, "spot": 2}
    )
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=2)
    fabric.settle()
    assert not [each for each in fabric.running() if each.get("InstanceLifecycle") == "spot"]


def test_update_keeps_omitted_mixed_instances_policy(fabric: Fabric) -> None:
    fabric.create(desired=1, MixedInstancesPolicy=fabric.mixed("g5.xlarge", "g4dn.xlarge", OnDemandBaseCapacity=2))
    before = fabric.group()["MixedInstancesPolicy"]
    fabric.update(MaxSize=7)
    assert fabric.group()["MixedInstancesPolicy"] == before
    assert before["InstancesDistribution"]["OnDemandBaseCapacity"] == 2


def test_rejected_update_changes_nothing(fabric: Fabric) -> None:
    fabric.create(1, 4, 2)
    both = fabric.specification() | {"LaunchTemplateName": "fleet"}
    with pytest.raises(ClientError, match="either launchTemplateId or LaunchTemplateName"):
        fabric.update(MaxSize=9, LaunchTemplate=both)
    assert fabric.group()["MaxSize"] == 4


def test_protected_instance_survives_scale_in(fabric: Fabric) -> None:
    fabric.create(desired=3)
    fabric.settle()
    kept = fabric.ids()[0]
    fabric.asg.set_instance_protection(AutoScalingGroupName="fleet", InstanceIds=[kept], ProtectedFromScaleIn=True)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    fabric.settle()
    assert fabric.ids() == [kept]


@pytest.mark.parametrize(("policy", "expected"), [("NewestInstance", 0), ("OldestInstance", 1)])
def test_termination_policy_selects_instance(fabric: Fabric, policy: str, expected: int) -> None:
    fabric.create(desired=1, VPCZoneIdentifier=fabric.subnets[0], TerminationPolicies=[policy])
    fabric.settle()
    fabric.tick(60)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=2)
    fabric.settle()
    in_order = fabric.ids()
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    fabric.settle()
    assert fabric.ids() == [in_order[expected]]


def test_suspended_launch_process_launches_after_resume(fabric: Fabric) -> None:
    fabric.create()
    fabric.asg.suspend_processes(AutoScalingGroupName="fleet", ScalingProcesses=["Launch"])
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    fabric.tick(times=5)
    assert fabric.instances() == []
    assert [each["ProcessName"] for each in fabric.group()["SuspendedProcesses"]] == ["Launch"]
    fabric.asg.resume_processes(AutoScalingGroupName="fleet")
    fabric.settle()
    assert len(fabric.instances()) == 1


def test_instance_enters_and_exits_standby(fabric: Fabric) -> None:
    fabric.create(1, 4, 2, TargetGroupARNs=[fabric.target_group])
    fabric.settle()
    member = fabric.ids()[0]
    fabric.asg.enter_standby(AutoScalingGroupName="fleet", InstanceIds=[member], ShouldDecrementDesiredCapacity=True)
    fabric.tick(times=3)
    assert fabric.states() == Counter(InService=1, Standby=1)
    assert fabric.group()["DesiredCapacity"] == 1
    assert fabric.targets().get(member) in (None, "draining")
    fabric.asg.exit_standby(AutoScalingGroupName="fleet", InstanceIds=[member])
    fabric.settle()
    assert fabric.states() == Counter(InService=2)
    assert fabric.targets()[member] == "healthy"


def test_detached_instance_keeps_running(fabric: Fabric) -> None:
    fabric.create(0, 4, 2, TargetGroupARNs=[fabric.target_group])
    fabric.settle()
    detached = fabric.ids()[0]
    fabric.asg.detach_instances(
        AutoScalingGroupName="fleet", InstanceIds=[detached], ShouldDecrementDesiredCapacity=True
    )
    fabric.settle()
    assert detached not in fabric.ids()
    assert detached not in fabric.targets()
    assert detached in [each["InstanceId"] for each in fabric.running()]


def test_terminate_request_replaces_or_decrements_capacity(fabric: Fabric) -> None:
    fabric.create(1, 4, 2)
    fabric.settle()
    first, second = fabric.ids()
    fabric.asg.terminate_instance_in_auto_scaling_group(InstanceId=first, ShouldDecrementDesiredCapacity=False)
    fabric.settle()
    assert len(fabric.ids()) == 2
    answer = fabric.asg.terminate_instance_in_auto_scaling_group(InstanceId=second, ShouldDecrementDesiredCapacity=True)
    assert "in response to a user request, shrinking the capacity from 2 to 1." in answer["Activity"]["Cause"]
    fabric.settle()
    assert len(fabric.ids()) == 1


def test_instance_past_maximum_lifetime_is_replaced(fabric: Fabric) -> None:
    fabric.create(desired=1, MaxInstanceLifetime=86400)
    fabric.settle()
    (old,) = fabric.ids()
    fabric.tick(86401)
    fabric.settle()
    assert fabric.ids() != [old]


def test_group_with_instances_is_deleted_only_with_force(fabric: Fabric) -> None:
    fabric.create(desired=2)
    fabric.settle()
    with pytest.raises(ClientError) as error:
        fabric.asg.delete_auto_scaling_group(AutoScalingGroupName="fleet")
    assert error.value.response["Error"]["Code"] == "ResourceInUse"
    fabric.asg.delete_auto_scaling_group(AutoScalingGroupName="fleet", ForceDelete=True)
    assert fabric.group()["Status"] == "Delete in progress"
    fabric.tick(times=2)
    assert fabric.asg.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert fabric.running() == []


def test_group_empties_within_four_ticks(fabric: Fabric) -> None:
    fabric.create(2, 4, 3)
    fabric.asg.put_lifecycle_hook(
        AutoScalingGroupName="fleet",
        LifecycleHookName="instance-drained",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        HeartbeatTimeout=300,
    )
    fabric.settle()
    fabric.update(MinSize=0, MaxSize=0, DesiredCapacity=0)
    fabric.tick(times=4)
    assert fabric.instances() == []
    fabric.asg.delete_auto_scaling_group(AutoScalingGroupName="fleet")
    assert fabric.asg.describe_auto_scaling_groups()["AutoScalingGroups"] == []


def test_activities_state_cause_of_every_launch_and_termination(fabric: Fabric) -> None:
    fabric.create(1, 4, 2)
    fabric.settle()
    fabric.update(MinSize=1, MaxSize=3, DesiredCapacity=3)
    fabric.settle()
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=2)
    fabric.settle()
    ending, grown, *created = fabric.activities()
    assert (
        "a user request created an AutoScalingGroup changing the desired capacity from 0 to 2." in created[0]["Cause"]
    )
    assert (
        "a user request update of AutoScalingGroup constraints to min: 1, max: 3, desired: 3 "
        "changing the desired capacity from 2 to 3. At " in grown["Cause"]
    )
    assert grown["Cause"].endswith("increasing the capacity from 2 to 3.")
    assert "explicitly set group desired capacity changing the desired capacity from 3 to 2." in ending["Cause"]
    assert "was selected for termination." in ending["Cause"]
    for activity in fabric.activities():
        assert activity["StatusCode"] == "Successful"
        assert activity["EndTime"] >= activity["StartTime"]
        assert set(json.loads(activity["Details"])) == {"Subnet ID", "Availability Zone"}


def test_failed_launch_is_retried_with_exponential_back_off(fabric: Fabric) -> None:
    fabric.create(desired=0)
    fabric.ec2.deregister_image(ImageId=fabric.image)
    fabric.ec2.delete_launch_template(LaunchTemplateId=fabric.template)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    attempts: list[Any] = []
    for second in range(1, 80):
        fabric.tick()
        if len(fabric.activities()) > len(attempts):
            attempts.append(second)
    assert attempts == [1, 11, 31, 71]
    assert {each["StatusCode"] for each in fabric.activities()} == {"Failed"}
    assert "does not exist" in fabric.activities()[0]["StatusMessage"]


def test_back_off_is_at_most_five_minutes_and_ends_with_new_template(fabric: Fabric) -> None:
    fabric.create(desired=0)
    fabric.ec2.delete_launch_template(LaunchTemplateId=fabric.template)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    fabric.tick(10, times=360)
    tried = len(fabric.activities())
    fabric.tick(10, times=60)
    assert len(fabric.activities()) - tried == 2
    template = fabric.ec2.create_launch_template(
        LaunchTemplateName="good", LaunchTemplateData=fabric.template_data("Z29vZA==")
    )["LaunchTemplate"]["LaunchTemplateId"]
    fabric.update(LaunchTemplate={"LaunchTemplateId": template, "Version": "1"})
    fabric.tick(times=2)
    assert fabric.states() == Counter(InService=1)


def test_override_with_weight_is_rejected(fabric: Fabric) -> None:
    policy = fabric.mixed("g4dn.12xlarge")
    policy["LaunchTemplate"]["Overrides"][0]["WeightedCapacity"] = "4"
    with pytest.raises(ClientError, match="not WeightedCapacity"):
        fabric.create(desired=8, MixedInstancesPolicy=policy)
