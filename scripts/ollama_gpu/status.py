"""What is running in an environment, asked of AWS and not of Terraform."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ollama_gpu import model_following, timeline
from ollama_gpu.context import Context


def read(context: Context, outputs: dict[str, Any]) -> dict[str, Any]:
    """Front door, fleets, targets and alarms, as a JSON-able value. ``outputs`` are Terraform's."""
    fleets = {name: _fleet(context, fleet["group_name"]) for name, fleet in outputs["fleets"].items()}
    targets = {name: _targets(context, arn) for name, arn in outputs["target_group_arns"].items()}
    return {
        "environment": context.environment.name,
        "region": context.environment.region,
        "endpoint": context.aws.endpoint,
        "url": outputs["url"],
        "release": outputs["release"],
        "fleets": {name: {**fleets[name], "targets": targets.get(name, {})} for name in fleets},
        "alarms": _alarms(context),
    }


def for_people(seen: dict[str, Any]) -> dict[str, Any]:
    """The same with each instance's boot in a line: its steps that took a second or more, and what failed."""
    fleets = {
        name: {
            **fleet,
            "instances": [{**each, "boot": _boot_line(each["boot"])} for each in fleet.get("instances", [])],
        }
        for name, fleet in seen["fleets"].items()
    }
    return {**seen, "fleets": fleets}


def _boot_line(steps: list[dict[str, Any]]) -> str:
    parts = []
    for step in steps:
        if step["result"] == "failed":
            parts.append(f"{step['step']} FAILED: {step.get('cause', 'no cause given')}")
        elif step["result"] == "started":
            parts.append(f"{step['step']} ...")
        elif step["seconds"] >= 1:
            parts.append(f"{step['step']} {step['seconds']:.0f} s")
    return ", ".join(parts) or "-"


def _fleet(context: Context, group: str) -> dict[str, Any]:
    answer = context.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    if not answer:
        return {"group": group, "missing": True}
    found = answer[0]
    activities = context.aws.autoscaling.describe_scaling_activities(AutoScalingGroupName=group, MaxRecords=1)[
        "Activities"
    ]
    return {
        "group": group,
        "desired": found["DesiredCapacity"],
        "min": found["MinSize"],
        "max": found["MaxSize"],
        "instances": [
            {
                "id": item["InstanceId"],
                "type": item.get("InstanceType", "?"),
                "zone": item["AvailabilityZone"],
                "state": item["LifecycleState"],
                "health": item["HealthStatus"],
                "models": model_following.read(context, item["InstanceId"]).as_dict(),
                "boot": [step.as_dict() for step in timeline.read(context, item["InstanceId"])],
            }
            for item in found["Instances"]
        ],
        "last_activity": activities[0]["Description"] if activities else None,
    }


def _targets(context: Context, arn: str) -> dict[str, int]:
    answer = context.aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return dict(Counter(item["TargetHealth"]["State"] for item in answer))


def _alarms(context: Context) -> dict[str, Any]:
    prefix = f"{context.contract.project}-{context.environment.name}-"
    states: Counter[str] = Counter()
    ringing = []
    pages = context.aws.cloudwatch.get_paginator("describe_alarms").paginate(
        AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    for page in pages:
        for alarm in [*page.get("MetricAlarms", []), *page.get("CompositeAlarms", [])]:
            states[alarm["StateValue"]] += 1
            if alarm["StateValue"] == "ALARM":
                ringing.append(alarm["AlarmName"])
    return {"states": dict(states), "ringing": sorted(ringing)}
