"""Attributes of Auto Scaling groups read back as the Terraform provider expects, and events reach their targets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import boto3
import hcl2
import pytest
from botocore.exceptions import ClientError

from ollama_gpu.core.paths import locate

from .autoscaling_fabric import ACCOUNT, REGION, Fabric, fabric

__all__ = ["fabric"]


def test_group_attributes_read_back_after_create_and_update(fabric: Fabric) -> None:
    written: dict[str, Any] = {
        "DefaultInstanceWarmup": 120,
        "MaxInstanceLifetime": 604800,
        "InstanceMaintenancePolicy": {"MinHealthyPercentage": 90, "MaxHealthyPercentage": 120},
        "DefaultCooldown": 60,
        "TerminationPolicies": ["OldestLaunchTemplate", "OldestInstance"],
        "CapacityRebalance": True,
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": 600,
        "NewInstancesProtectedFromScaleIn": True,
        "TargetGroupARNs": [fabric.target_group],
    }
    fabric.create(**written)
    group = fabric.group()
    assert {name: group[name] for name in written} == written
    assert group["TrafficSources"] == [{"Identifier": fabric.target_group, "Type": "elbv2"}]
    fabric.update(
        DefaultInstanceWarmup=-1,
        MaxInstanceLifetime=0,
        InstanceMaintenancePolicy={"MinHealthyPercentage": -1, "MaxHealthyPercentage": -1},
        DefaultCooldown=90,
        CapacityRebalance=False,
    )
    group = fabric.group()
    assert not {"DefaultInstanceWarmup", "MaxInstanceLifetime", "InstanceMaintenancePolicy"} & group.keys()
    assert (group["DefaultCooldown"], group["CapacityRebalance"]) == (90, False)
    assert group["TerminationPolicies"] == written["TerminationPolicies"]


def test_enabled_group_metrics_are_published(fabric: Fabric) -> None:
    fabric.create(desired=2)
    fabric.asg.enable_metrics_collection(
        AutoScalingGroupName="fleet",
        Granularity="1Minute",
        Metrics=["GroupInServiceInstances", "GroupMaxSize"],
    )
    fabric.tick(60, times=3)
    found = fabric.cloudwatch.get_metric_statistics(
        Namespace="AWS/AutoScaling",
        MetricName="GroupInServiceInstances",
        Dimensions=[{"Name": "AutoScalingGroupName", "Value": "fleet"}],
        StartTime=fabric.now - timedelta(minutes=5),
        EndTime=fabric.now + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )
    assert max(each["Maximum"] for each in found["Datapoints"]) == 2
    fabric.asg.disable_metrics_collection(AutoScalingGroupName="fleet", Metrics=["GroupMaxSize"])
    assert [each["Metric"] for each in fabric.group()["EnabledMetrics"]] == ["GroupInServiceInstances"]
    fabric.asg.disable_metrics_collection(AutoScalingGroupName="fleet")
    assert fabric.group()["EnabledMetrics"] == []


@pytest.mark.parametrize("seconds", [29, 7201])
def test_hook_with_a_heartbeat_out_of_range_is_rejected(fabric: Fabric, seconds: int) -> None:
    fabric.create(desired=0)
    with pytest.raises(ClientError, match="30 to 7200"):
        fabric.asg.put_lifecycle_hook(
            AutoScalingGroupName="fleet",
            LifecycleHookName="ready",
            LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
            HeartbeatTimeout=seconds,
        )


def test_hook_update_keeps_omitted_parameters(fabric: Fabric) -> None:
    fabric.create(
        LifecycleHookSpecificationList=[
            {
                "LifecycleHookName": "ready",
                "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
                "HeartbeatTimeout": 900,
                "DefaultResult": "ABANDON",
            }
        ]
    )
    fabric.asg.put_lifecycle_hook(AutoScalingGroupName="fleet", LifecycleHookName="ready", DefaultResult="CONTINUE")
    (hook,) = fabric.asg.describe_lifecycle_hooks(AutoScalingGroupName="fleet")["LifecycleHooks"]
    assert hook == {
        "LifecycleHookName": "ready",
        "AutoScalingGroupName": "fleet",
        "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "HeartbeatTimeout": 900,
        "GlobalTimeout": 90000,
        "DefaultResult": "CONTINUE",
    }
    fabric.asg.delete_lifecycle_hook(AutoScalingGroupName="fleet", LifecycleHookName="ready")
    assert fabric.asg.describe_lifecycle_hooks(AutoScalingGroupName="fleet")["LifecycleHooks"] == []


def test_group_tags_can_be_created_updated_filtered_and_deleted(fabric: Fabric) -> None:
    fabric.create(Tags=[{"Key": "Project", "Value": "a", "PropagateAtLaunch": True}])
    about = {"ResourceId": "fleet", "ResourceType": "auto-scaling-group"}
    fabric.asg.create_or_update_tags(
        Tags=[
            {**about, "Key": "Project", "Value": "b", "PropagateAtLaunch": False},
            {**about, "Key": "Extra", "Value": "c", "PropagateAtLaunch": True},
        ]
    )
    tags = fabric.asg.describe_tags(Filters=[{"Name": "auto-scaling-group", "Values": ["fleet"]}])["Tags"]
    assert {(tag["Key"], tag["Value"], tag["PropagateAtLaunch"]) for tag in tags} == {
        ("Project", "b", False),
        ("Extra", "c", True),
    }
    found = fabric.asg.describe_auto_scaling_groups(Filters=[{"Name": "tag:Extra", "Values": ["c"]}])
    assert [group["AutoScalingGroupName"] for group in found["AutoScalingGroups"]] == ["fleet"]
    fabric.asg.delete_tags(Tags=[{**about, "Key": "Extra"}])
    assert [tag["Key"] for tag in fabric.group()["Tags"]] == ["Project"]


def test_second_group_with_same_name_is_rejected(fabric: Fabric) -> None:
    fabric.create()
    with pytest.raises(ClientError) as error:
        fabric.create()
    assert error.value.response["Error"]["Code"] == "AlreadyExists"


def test_update_of_unknown_group_is_rejected(fabric: Fabric) -> None:
    with pytest.raises(ClientError, match="AutoScalingGroup name not found"):
        fabric.update(MaxSize=3)


def test_operation_without_emulation_is_not_implemented(fabric: Fabric) -> None:
    with pytest.raises(NotImplementedError, match="attach_instances"):
        fabric.asg.attach_instances(AutoScalingGroupName="fleet", InstanceIds=["i-0"])


def test_next_token_returns_next_page(fabric: Fabric) -> None:
    fabric.create(desired=5)
    fabric.settle()
    first = fabric.asg.describe_scaling_activities(AutoScalingGroupName="fleet", MaxRecords=3)
    rest = fabric.asg.describe_scaling_activities(
        AutoScalingGroupName="fleet", MaxRecords=3, NextToken=first["NextToken"]
    )
    assert [len(first["Activities"]), len(rest["Activities"])] == [3, 2]
    assert "NextToken" not in rest


def test_activities_of_deleted_group_are_returned_only_on_request(fabric: Fabric) -> None:
    fabric.create(desired=1)
    fabric.settle()
    fabric.asg.delete_auto_scaling_group(AutoScalingGroupName="fleet", ForceDelete=True)
    fabric.tick(times=2)
    assert fabric.activities() == []
    kept = fabric.asg.describe_scaling_activities(IncludeDeletedGroups=True)["Activities"]
    assert {each["AutoScalingGroupState"] for each in kept} == {"Deleted"}
    assert len(kept) == 2


def follow_events(fabric: Fabric, log_group: str = "/aws/events/fleet") -> None:
    logs, events = boto3.client("logs", REGION), boto3.client("events", REGION)
    logs.create_log_group(logGroupName=log_group)
    events.put_rule(Name="fleet", EventPattern=json.dumps({"source": ["aws.autoscaling"]}))
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{log_group}:*"
    events.put_targets(Rule="fleet", Targets=[{"Id": "log", "Arn": arn}])


def logged_events(log_group: str = "/aws/events/fleet") -> list[dict[str, Any]]:
    found = boto3.client("logs", REGION).filter_log_events(logGroupName=log_group)["events"]
    return [json.loads(each["message"]) for each in found]


def test_events_reach_log_group_of_matching_rule(fabric: Fabric) -> None:
    follow_events(fabric)
    fabric.create(
        desired=1,
        LifecycleHookSpecificationList=[
            {"LifecycleHookName": "ready", "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING"}
        ],
    )
    fabric.settle()
    version = fabric.new_version()
    fabric.asg.start_instance_refresh(
        AutoScalingGroupName="fleet",
        DesiredConfiguration={"LaunchTemplate": fabric.specification(version)},
        Preferences={"InstanceWarmup": 0, "MinHealthyPercentage": 0},
    )
    fabric.tick(times=10)
    events = logged_events()
    kinds = [event["detail-type"] for event in events]
    assert kinds.count("EC2 Instance-launch Lifecycle Action") == 2
    assert kinds.count("EC2 Instance Launch Successful") == 2
    assert kinds.count("EC2 Instance Terminate Successful") == 1
    assert kinds.count("EC2 Auto Scaling Instance Refresh Started") == 1
    assert kinds.count("EC2 Auto Scaling Instance Refresh Succeeded") == 1
    launched = next(event for event in events if event["detail-type"] == "EC2 Instance Launch Successful")
    assert launched["source"] == "aws.autoscaling"
    assert launched["detail"]["AutoScalingGroupName"] == "fleet"
    assert launched["detail"]["EC2InstanceId"].startswith("i-")
    assert "increasing the capacity from 0 to 1" in launched["detail"]["Cause"]


def terraform_rule() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return event pattern and input transformer of the rule `scaling-failures` in modules/observability/events.tf."""
    options = hcl2.SerializationOptions(strip_string_quotes=True, with_comments=False)
    path = locate().terraform / "modules" / "observability" / "events.tf"
    tree = hcl2.loads(path.read_text(), serialization_options=options)
    pattern = dict(next(each["event_rules"] for each in tree["locals"])["scaling-failures"]["pattern"])
    targets = {name: body for each in tree["resource"] for body_by in each.values() for name, body in body_by.items()}
    [transformer] = targets["topic"]["input_transformer"]
    template = transformer["input_template"].replace('\\"', '"')
    return {**pattern, "detail": {"AutoScalingGroupName": ["fleet"]}}, {
        "InputPathsMap": transformer["input_paths"],
        "InputTemplate": template,
    }


def test_failed_launch_reaches_topic_through_terraform_input_transformer(fabric: Fabric) -> None:
    pattern, transformer = terraform_rule()
    sns, sqs, events = (boto3.client(name, REGION) for name in ("sns", "sqs", "events"))
    topic = sns.create_topic(Name="failures")["TopicArn"]
    queue = sqs.create_queue(QueueName="failures")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:failures")
    events.put_rule(Name="failures", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="failures", Targets=[{"Id": "topic", "Arn": topic, "InputTransformer": transformer}])
    fabric.create(desired=1)
    fabric.settle()
    assert "Messages" not in sqs.receive_message(QueueUrl=queue), "nothing has failed"
    fabric.ec2.delete_launch_template(LaunchTemplateId=fabric.template)
    fabric.update(DesiredCapacity=2)
    fabric.tick(times=3)
    [message, *_] = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    notification = json.loads(json.loads(message["Body"])["Message"])
    assert " fleet: EC2 Instance Launch Unsuccessful. " in notification
    assert "does not exist" in notification
    assert notification.endswith("Runbook: docs/operations.md#alarm-scaling-failures")
    assert "<" not in notification
