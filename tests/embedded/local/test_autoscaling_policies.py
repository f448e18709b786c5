"""Scaling by step policies, target tracking and scheduled actions."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.local.embedded_aws.autoscaling.policies import adjusted

from .autoscaling_fabric import Fabric, fabric

__all__ = ["fabric"]

GROUP = {"AutoScalingGroupName": "fleet"}
LABEL = "app/edge/50dc6c495c0c9188/targetgroup/fleet/943f017f100becff"


def desired(fabric: Fabric) -> int:
    return int(fabric.group()["DesiredCapacity"])


def put_cpu(fabric: Fabric, target: float = 50, **more: Any) -> Any:
    return fabric.asg.put_scaling_policy(
        **GROUP,
        PolicyName="cpu",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
            "TargetValue": target,
            **more,
        },
    )


def cpu(fabric: Fabric, values: list[float]) -> None:
    fabric.put_metric("AWS/EC2", "CPUUtilization", GROUP, values)


def a_minute_later(fabric: Fabric, values: list[float]) -> None:
    fabric.now += timedelta(minutes=1)
    cpu(fabric, values)
    fabric.tick(0)


def warm(fabric: Fabric, capacity: int, low: int = 1, high: int = 10) -> None:
    """Create a group whose instances are past their warm-up, at the start of a minute."""
    fabric.create(low, high, capacity, DefaultInstanceWarmup=60)
    fabric.settle()
    fabric.tick(3600)
    fabric.now = fabric.now.replace(second=0) + timedelta(minutes=1)


@pytest.mark.parametrize(
    ("capacity", "kind", "adjustment", "at_least", "expected"),
    [
        (4, "ChangeInCapacity", -1, 0, 3),
        (4, "ExactCapacity", 7, 0, 7),
        (4, "PercentChangeInCapacity", 50, 0, 6),
        (4, "PercentChangeInCapacity", 10, 0, 5),
        (4, "PercentChangeInCapacity", 10, 2, 6),
        (4, "PercentChangeInCapacity", -10, 0, 3),
        (9, "PercentChangeInCapacity", 25, 0, 11),
    ],
)
def test_adjustments_are_rounded_as_in_aws(
    capacity: int, kind: str, adjustment: int, at_least: int, expected: int
) -> None:
    assert adjusted(capacity, kind, adjustment, at_least) == expected


def test_simple_scaling_is_rejected(fabric: Fabric) -> None:
    fabric.create()
    with pytest.raises(ClientError, match="not SimpleScaling"):
        fabric.asg.put_scaling_policy(
            **GROUP, PolicyName="grow", AdjustmentType="ChangeInCapacity", ScalingAdjustment=5
        )


def put_steps(fabric: Fabric) -> str:
    answer = fabric.asg.put_scaling_policy(
        **GROUP,
        PolicyName="steps",
        PolicyType="StepScaling",
        AdjustmentType="ChangeInCapacity",
        StepAdjustments=[
            {"MetricIntervalLowerBound": 0, "MetricIntervalUpperBound": 20, "ScalingAdjustment": 1},
            {"MetricIntervalLowerBound": 20, "ScalingAdjustment": 3},
        ],
    )
    return str(answer["PolicyARN"])


@pytest.mark.parametrize(("values", "expected"), [([], 2), ([9], 1), ([10], 2), ([29], 2), ([30], 4)])
def test_alarm_takes_step_of_its_metric(fabric: Fabric, values: list[float], expected: int) -> None:
    fabric.create(1, 9, 1)
    arn = put_steps(fabric)
    put_alarm(fabric, arn)
    fabric.now += timedelta(minutes=1)  # an alarm reads the last minute by the wall clock
    fabric.put_metric("OllamaGPU", "Queued", {}, values)
    fabric.cloudwatch.set_alarm_state(AlarmName="busy", StateValue="ALARM", StateReason="by the test")
    assert desired(fabric) == expected


def put_alarm(fabric: Fabric, action: str) -> None:
    fabric.cloudwatch.put_metric_alarm(
        AlarmName="busy",
        Namespace="OllamaGPU",
        MetricName="Queued",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=10,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[action],
    )


def test_step_policy_scales_on_alarm_and_lists_it(fabric: Fabric) -> None:
    fabric.create(1, 9, 1)
    put_alarm(fabric, put_steps(fabric))
    (policy,) = fabric.asg.describe_policies(**GROUP)["ScalingPolicies"]
    assert [alarm["AlarmName"] for alarm in policy["Alarms"]] == ["busy"]
    fabric.cloudwatch.set_alarm_state(AlarmName="busy", StateValue="ALARM", StateReason="by the test")
    assert desired(fabric) == 2
    fabric.tick()
    assert "a monitor alarm busy in state ALARM triggered policy steps" in fabric.activities()[0]["Cause"]


def test_policies_of_two_groups_may_share_a_name(fabric: Fabric) -> None:
    fabric.create()
    fabric.asg.create_auto_scaling_group(
        AutoScalingGroupName="other",
        MinSize=0,
        MaxSize=1,
        LaunchTemplate=fabric.specification(),
        VPCZoneIdentifier=fabric.subnets[0],
    )
    for group in ("fleet", "other"):
        fabric.asg.put_scaling_policy(
            AutoScalingGroupName=group,
            PolicyName="same",
            PolicyType="StepScaling",
            AdjustmentType="ExactCapacity",
            StepAdjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        )
    fabric.asg.delete_policy(AutoScalingGroupName="other", PolicyName="same")
    assert [each["PolicyName"] for each in fabric.asg.describe_policies(**GROUP)["ScalingPolicies"]] == ["same"]


def test_target_tracking_policy_is_described_and_deleted_with_its_alarms(fabric: Fabric) -> None:
    fabric.create()
    answer = put_cpu(fabric)
    (policy,) = fabric.asg.describe_policies(**GROUP)["ScalingPolicies"]
    assert policy["Alarms"] == answer["Alarms"]
    assert policy["Enabled"] is True
    assert "PredictiveScalingConfiguration" not in policy
    assert policy["TargetTrackingConfiguration"]["DisableScaleIn"] is False
    names = sorted(alarm["AlarmName"].split("-")[2] for alarm in policy["Alarms"])
    assert names == ["AlarmHigh", "AlarmLow"]
    assert len(fabric.cloudwatch.describe_alarms()["MetricAlarms"]) == 2
    fabric.asg.delete_policy(**GROUP, PolicyName="cpu")
    assert fabric.cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_customized_metric_with_metric_math_reads_back(fabric: Fabric) -> None:
    fabric.create()
    queries = [*stat_queries(), {"Id": "load", "Expression": "(m1+m2)/m3*100", "ReturnData": True}]
    fabric.asg.put_scaling_policy(
        **GROUP,
        PolicyName="load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "CustomizedMetricSpecification": {"Metrics": queries},
            "TargetValue": 70.0,
        },
    )
    (policy,) = fabric.asg.describe_policies(**GROUP)["ScalingPolicies"]
    configuration = policy["TargetTrackingConfiguration"]
    assert configuration["CustomizedMetricSpecification"]["Metrics"] == queries
    assert configuration["TargetValue"] == 70


def stat_queries() -> list[Any]:
    return [
        {
            "Id": f"m{i + 1}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "OllamaGPU",
                    "MetricName": name,
                    "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "fleet"}],
                },
                "Stat": "Sum",
            },
            "ReturnData": False,
        }
        for i, name in enumerate(("InFlight", "Queued", "Slots"))
    ]


def test_three_minutes_above_target_scale_out_in_proportion(fabric: Fabric) -> None:
    warm(fabric, 2)
    put_cpu(fabric, 50)
    cpu(fabric, [90, 90, 90])
    fabric.tick()
    assert desired(fabric) == 4
    fabric.settle()
    assert "triggered policy cpu changing the desired capacity from 2 to 4." in fabric.activities()[0]["Cause"]


@pytest.mark.parametrize("values", [[90, 90], [90, 90, 40], [40, 90, 90]])
def test_fewer_than_three_minutes_above_target_do_not_scale(fabric: Fabric, values: list[float]) -> None:
    warm(fabric, 2)
    put_cpu(fabric, 50)
    cpu(fabric, values)
    fabric.tick()
    assert desired(fabric) == 2


def test_target_tracking_never_exceeds_maximum(fabric: Fabric) -> None:
    warm(fabric, 2, high=3)
    put_cpu(fabric, 10)
    cpu(fabric, [100, 100, 100])
    fabric.tick()
    assert desired(fabric) == 3


def test_fifteen_minutes_below_target_scale_in_one_by_one_to_minimum(fabric: Fabric) -> None:
    warm(fabric, 4, low=2)
    put_cpu(fabric, 50)
    cpu(fabric, [5] * 14)
    fabric.tick()
    assert desired(fabric) == 4
    sizes = []
    for _ in range(5):
        a_minute_later(fabric, [5] * 15)
        sizes.append(desired(fabric))
    assert sizes == [3, 2, 2, 2, 2]


def test_missing_data_does_not_scale(fabric: Fabric) -> None:
    warm(fabric, 4)
    put_cpu(fabric, 50)
    for _ in range(30):
        fabric.tick(60)
    assert desired(fabric) == 4


def test_group_scales_in_only_if_every_policy_agrees(fabric: Fabric) -> None:
    warm(fabric, 4)
    put_cpu(fabric, 50)
    fabric.asg.put_scaling_policy(
        **GROUP,
        PolicyName="requests",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "ALBRequestCountPerTarget",
                "ResourceLabel": LABEL,
            },
            "TargetValue": 100,
        },
    )
    balancer, target_group = LABEL.split("/targetgroup/")
    dimensions = {"TargetGroup": f"targetgroup/{target_group}", "LoadBalancer": balancer}
    cpu(fabric, [5] * 15)
    fabric.put_metric("AWS/ApplicationELB", "RequestCountPerTarget", dimensions, [95] * 15)
    fabric.tick()
    assert desired(fabric) == 4
    fabric.now += timedelta(minutes=30)
    cpu(fabric, [5] * 15)
    fabric.put_metric("AWS/ApplicationELB", "RequestCountPerTarget", dimensions, [60] * 15)
    fabric.tick(0)
    assert desired(fabric) == 3


def test_group_scales_out_on_one_policy(fabric: Fabric) -> None:
    warm(fabric, 2)
    put_cpu(fabric, 50)
    queries = [*stat_queries(), {"Id": "load", "Expression": "(m1+m2)/m3*100"}]
    fabric.asg.put_scaling_policy(
        **GROUP,
        PolicyName="load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={"CustomizedMetricSpecification": {"Metrics": queries}, "TargetValue": 70},
    )
    cpu(fabric, [5] * 15)
    for name, value in (("InFlight", 8), ("Queued", 6), ("Slots", 8)):
        fabric.put_metric("OllamaGPU", name, GROUP, [value] * 3)
    fabric.tick()
    assert desired(fabric) == 5  # 2 * 175 / 70


def test_disable_scale_in_prevents_scale_in(fabric: Fabric) -> None:
    warm(fabric, 3)
    put_cpu(fabric, 50, DisableScaleIn=True)
    cpu(fabric, [5] * 15)
    fabric.tick()
    assert desired(fabric) == 3
    assert len(fabric.asg.describe_policies(**GROUP)["ScalingPolicies"][0]["Alarms"]) == 1


def test_warming_instance_delays_scale_in_but_not_scale_out(fabric: Fabric) -> None:
    fabric.create(1, 10, 4, DefaultInstanceWarmup=3600)
    fabric.settle()
    fabric.now = fabric.now.replace(second=0) + timedelta(minutes=20)
    put_cpu(fabric, 50)
    cpu(fabric, [5] * 15)
    fabric.tick()
    assert desired(fabric) == 4
    a_minute_later(fabric, [400] * 3)
    assert desired(fabric) == 10


def test_scheduled_action_runs_once_at_its_time(fabric: Fabric) -> None:
    fabric.create(1, 4, 1)
    start = fabric.now + timedelta(hours=2)
    fabric.asg.put_scheduled_update_group_action(
        **GROUP, ScheduledActionName="once", StartTime=start, MinSize=3, MaxSize=6
    )
    fabric.tick(7190)
    assert desired(fabric) == 1
    fabric.tick(20)
    assert (desired(fabric), fabric.group()["MaxSize"]) == (3, 6)
    assert (
        "a scheduled action update of AutoScalingGroup constraints to min: 3, max: 6, desired: 3"
        in (fabric.activities()[0]["Cause"])
    )
    assert fabric.asg.describe_scheduled_actions(**GROUP)["ScheduledUpdateGroupActions"] == []


def test_recurring_action_reads_back_and_repeats(fabric: Fabric) -> None:
    fabric.create(1, 4, 1)
    fabric.asg.put_scheduled_update_group_action(
        **GROUP,
        ScheduledActionName="office-hours",
        Recurrence="0 8 * * MON-FRI",
        TimeZone="Europe/Vienna",
        MinSize=2,
        MaxSize=4,
        DesiredCapacity=3,
    )
    (action,) = fabric.asg.describe_scheduled_actions(**GROUP)["ScheduledUpdateGroupActions"]
    assert (action["Recurrence"], action["TimeZone"], action["MinSize"], action["DesiredCapacity"]) == (
        "0 8 * * MON-FRI",
        "Europe/Vienna",
        2,
        3,
    )
    first = action["StartTime"]
    assert first.astimezone(ZoneInfo("Europe/Vienna")).hour == 8
    fabric.tick((first - fabric.now).total_seconds() + 1)
    fabric.settle()
    assert fabric.states() == Counter(InService=3)
    (action,) = fabric.asg.describe_scheduled_actions(**GROUP)["ScheduledUpdateGroupActions"]
    assert action["StartTime"] > first
    fabric.asg.delete_scheduled_action(**GROUP, ScheduledActionName="office-hours")
    assert fabric.asg.describe_scheduled_actions(**GROUP)["ScheduledUpdateGroupActions"] == []


@pytest.mark.parametrize("recurrence", ["8 * *", "61 * * * *", "* * * * FUNDAY"])
def test_invalid_recurrence_is_rejected(fabric: Fabric, recurrence: str) -> None:
    fabric.create()
    with pytest.raises(ClientError, match="recurrence"):
        fabric.asg.put_scheduled_update_group_action(
            **GROUP, ScheduledActionName="bad", Recurrence=recurrence, MinSize=1
        )
