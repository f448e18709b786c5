"""Unhealthy instances, targets, and lifecycle hooks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.local.embedded_aws import autoscaling

from .autoscaling_fabric import ACCOUNT, REGION, Fabric, fabric

__all__ = ["fabric"]

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"


def add_hook(fabric: Fabric, transition: str, **more: Any) -> None:
    fabric.asg.put_lifecycle_hook(
        AutoScalingGroupName="fleet",
        LifecycleHookName="hook",
        LifecycleTransition=transition,
        **{"HeartbeatTimeout": 300, **more},
    )


def complete(fabric: Fabric, instance_id: str, result: str) -> None:
    fabric.asg.complete_lifecycle_action(
        AutoScalingGroupName="fleet",
        LifecycleHookName="hook",
        InstanceId=instance_id,
        LifecycleActionResult=result,
    )


def last_termination(fabric: Fabric) -> Any:
    return next(each for each in fabric.activities() if each["Description"].startswith("Terminating"))


def test_instance_set_unhealthy_is_replaced(fabric: Fabric) -> None:
    fabric.create(desired=2)
    fabric.settle()
    bad = fabric.ids()[0]
    fabric.asg.set_instance_health(InstanceId=bad, HealthStatus="Unhealthy")
    fabric.tick()
    fabric.settle()
    assert bad not in fabric.ids()
    assert bad not in [each["InstanceId"] for each in fabric.running()]
    assert "taken out of service in response to a user health-check." in last_termination(fabric)["Cause"]


def test_set_instance_health_respects_grace_period_unless_disabled(fabric: Fabric) -> None:
    fabric.create(desired=1, HealthCheckGracePeriod=600)
    fabric.settle()
    (instance,) = fabric.ids()
    fabric.asg.set_instance_health(InstanceId=instance, HealthStatus="Unhealthy")
    fabric.tick(times=5)
    assert fabric.ids() == [instance]
    fabric.asg.set_instance_health(InstanceId=instance, HealthStatus="Unhealthy", ShouldRespectGracePeriod=False)
    fabric.tick()
    fabric.settle()
    assert instance not in fabric.ids()


@pytest.mark.parametrize("fate", ["terminate_instances", "stop_instances"])
def test_terminated_or_stopped_instance_is_replaced_in_grace_period(fabric: Fabric, fate: str) -> None:
    fabric.create(desired=2, HealthCheckGracePeriod=600, TargetGroupARNs=[fabric.target_group])
    fabric.settle()
    gone = fabric.ids()[0]
    getattr(fabric.ec2, fate)(InstanceIds=[gone])
    fabric.tick()
    fabric.settle()
    assert gone not in fabric.ids()
    assert set(fabric.targets()) == set(fabric.ids())
    cause = "an EC2 health check indicating it has been terminated or stopped."
    assert cause in last_termination(fabric)["Cause"]


def test_elb_health_check_replaces_unhealthy_target_after_grace_period(fabric: Fabric) -> None:
    fabric.create(
        desired=2,
        HealthCheckType="ELB",
        HealthCheckGracePeriod=120,
        TargetGroupARNs=[fabric.target_group],
    )
    fabric.settle()
    bad = fabric.ids()[0]
    fabric.set_target(bad, "unhealthy")
    fabric.tick(20, times=5)
    assert bad in fabric.ids()
    assert fabric.targets()[bad] == "unhealthy"
    fabric.tick(30)
    fabric.settle()
    assert bad not in fabric.ids()
    assert "in response to an ELB system health check failure." in last_termination(fabric)["Cause"]


def test_ec2_health_check_ignores_unhealthy_target(fabric: Fabric) -> None:
    fabric.create(desired=1, TargetGroupARNs=[fabric.target_group])
    fabric.settle()
    (instance_id,) = fabric.ids()
    fabric.set_target(instance_id, "unhealthy")
    fabric.tick(60, times=5)
    assert fabric.ids() == [instance_id]


def test_suspended_replace_unhealthy_only_marks_instance(fabric: Fabric) -> None:
    fabric.create(desired=1)
    fabric.settle()
    (bad,) = fabric.ids()
    fabric.asg.suspend_processes(AutoScalingGroupName="fleet", ScalingProcesses=["ReplaceUnhealthy"])
    fabric.asg.set_instance_health(InstanceId=bad, HealthStatus="Unhealthy")
    fabric.tick(times=5)
    assert [each["HealthStatus"] for each in fabric.instances()] == ["Unhealthy"]


def test_maintenance_policy_launches_before_terminating(fabric: Fabric) -> None:
    fabric.create(desired=2, InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150})
    fabric.settle()
    bad = fabric.ids()[0]
    fabric.asg.set_instance_health(InstanceId=bad, HealthStatus="Unhealthy")
    fabric.tick()
    assert fabric.states() == Counter(InService=2, Pending=1)
    fabric.tick(2)
    fabric.settle()
    assert bad not in fabric.ids()


def test_health_of_unregistered_target_is_rejected(fabric: Fabric) -> None:
    fabric.create(desired=0, TargetGroupARNs=[fabric.target_group])
    with pytest.raises(Exception, match="is not registered"):
        fabric.set_target("i-0", "unhealthy")
    with pytest.raises(Exception, match="is not a state of a target"):
        autoscaling.set_target_health(ACCOUNT, REGION, fabric.target_group, "i-0", "sick")


def test_target_drains_until_instance_is_terminated(fabric: Fabric) -> None:
    autoscaling.answer_lifecycle_actions(False)
    fabric.create(desired=1, TargetGroupARNs=[fabric.target_group])
    add_hook(fabric, TERMINATING)
    fabric.settle()
    (instance_id,) = fabric.ids()
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=0)
    fabric.tick()
    assert fabric.targets() == {instance_id: "draining"}
    complete(fabric, instance_id, "CONTINUE")
    fabric.tick()
    assert fabric.targets() == {}
    (health,) = fabric.elbv2.describe_target_health(TargetGroupArn=fabric.target_group, Targets=[{"Id": instance_id}])[
        "TargetHealthDescriptions"
    ]
    assert health["TargetHealth"]["State"] == "unused"


def test_targets_start_initial_if_configured(fabric: Fabric) -> None:
    autoscaling.start_targets_healthy(False)
    fabric.create(desired=1, TargetGroupARNs=[fabric.target_group])
    fabric.settle()
    assert list(fabric.targets().values()) == ["initial"]


def test_target_groups_can_be_attached_and_detached(fabric: Fabric) -> None:
    fabric.create(desired=1)
    fabric.settle()
    fabric.asg.attach_load_balancer_target_groups(AutoScalingGroupName="fleet", TargetGroupARNs=[fabric.target_group])
    fabric.tick()
    assert list(fabric.targets()) == fabric.ids()
    states = fabric.asg.describe_load_balancer_target_groups(AutoScalingGroupName="fleet")
    assert [each["State"] for each in states["LoadBalancerTargetGroups"]] == ["InService"]
    fabric.asg.detach_load_balancer_target_groups(AutoScalingGroupName="fleet", TargetGroupARNs=[fabric.target_group])
    assert fabric.targets() == {}


def test_without_lab_next_tick_completes_hooks(fabric: Fabric) -> None:
    fabric.create()
    add_hook(fabric, LAUNCHING)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    fabric.tick()
    assert fabric.states() == Counter({"Pending:Wait": 1})
    fabric.tick()
    assert fabric.states() == Counter(InService=1)


def test_launching_instance_waits_for_hook_outside_target_group(fabric: Fabric) -> None:
    autoscaling.answer_lifecycle_actions(False)
    fabric.create(TargetGroupARNs=[fabric.target_group])
    add_hook(fabric, LAUNCHING)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    fabric.tick(times=30)
    assert fabric.states() == Counter({"Pending:Wait": 1})
    assert fabric.targets() == {}
    complete(fabric, fabric.ids()[0], "CONTINUE")
    fabric.tick()
    assert fabric.states() == Counter(InService=1)
    assert list(fabric.targets()) == fabric.ids()
    with pytest.raises(ClientError, match="No active Lifecycle Action found with instance ID"):
        complete(fabric, fabric.ids()[0], "CONTINUE")


def test_abandoned_launch_is_terminated_and_retried_after_back_off(fabric: Fabric) -> None:
    autoscaling.answer_lifecycle_actions(False)
    fabric.create()
    add_hook(fabric, LAUNCHING)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    fabric.tick()
    (first,) = fabric.ids()
    complete(fabric, first, "ABANDON")
    fabric.tick(times=9)
    assert fabric.instances() == []
    assert fabric.running() == []
    launch = next(each for each in fabric.activities() if each["Description"].startswith("Launching"))
    assert launch["StatusCode"] == "Cancelled"
    assert "was abandoned: Lifecycle Action Completed with ABANDON Result" in launch["StatusMessage"]
    fabric.tick(times=2)
    assert fabric.states() == Counter({"Pending:Wait": 1})


@pytest.mark.parametrize(("default", "outcome"), [("CONTINUE", "InService"), ("ABANDON", None)])
def test_heartbeat_timeout_applies_default_result(fabric: Fabric, default: str, outcome: str | None) -> None:
    autoscaling.answer_lifecycle_actions(False)
    fabric.create()
    add_hook(fabric, LAUNCHING, DefaultResult=default)
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=1)
    fabric.tick()
    fabric.tick(250)
    fabric.asg.record_lifecycle_action_heartbeat(
        AutoScalingGroupName="fleet", LifecycleHookName="hook", InstanceId=fabric.ids()[0]
    )
    fabric.tick(250)
    assert fabric.states() == Counter({"Pending:Wait": 1})
    fabric.tick(51)
    assert fabric.states() == Counter({outcome: 1} if outcome else {})


def test_terminating_instance_waits_for_hook(fabric: Fabric) -> None:
    autoscaling.answer_lifecycle_actions(False)
    fabric.create(desired=1)
    add_hook(fabric, TERMINATING)
    fabric.settle()
    (instance_id,) = fabric.ids()
    fabric.asg.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=0)
    fabric.tick(times=30)
    assert fabric.states() == Counter({"Terminating:Wait": 1})
    assert len(fabric.running()) == 1
    complete(fabric, instance_id, "CONTINUE")
    fabric.tick()
    assert fabric.running() == []
