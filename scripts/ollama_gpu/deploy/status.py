"""The status of an environment, read from AWS rather than from Terraform's state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ollama_gpu import rollout
from ollama_gpu.environment.context import Context
from ollama_gpu.observe import alarms, boot_timeline, load, model_following
from ollama_gpu.observe.alarms import timestamp
from ollama_gpu.planning import cost_now
from ollama_gpu.releases import records


def read(context: Context, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return the front door, fleets with load and GPUs, instances with their boot, and alarms, ready for JSON.

    ``outputs`` are Terraform's. Metrics are CloudWatch's newest values, None if nothing was reported recently.
    """
    fleets = {name: _fleet(context, fleet["group_name"]) for name, fleet in outputs["fleets"].items()}
    groups = {name: fleet["group"] for name, fleet in fleets.items()}
    members = {name: [each["id"] for each in fleet["instances"]] for name, fleet in fleets.items()}
    seen = load.read(context, groups, members)
    for name, fleet in fleets.items():
        fleet["targets"] = _targets(context, outputs["target_group_arns"][name])
        fleet["load"] = seen.fleets[name].as_dict()
        for instance in fleet["instances"]:
            instance["load"] = seen.instances[instance["id"]].as_dict()
    found = alarms.read(context)
    last = records.last(context)
    return {
        "environment": context.environment.name,
        "region": context.environment.region,
        "endpoint": context.aws.endpoint,
        "time": timestamp(datetime.now(UTC)),
        "url": outputs["url"],
        "release": outputs["release"],
        "last_release": last.as_dict() if last else None,
        "rollouts": [str(refresh) for refresh in rollout.under_way(context, outputs)],
        "cost_an_hour": cost_now.an_hour(context.environment.region, _running(context, members)),
        "fleets": fleets,
        "alarms": {
            "states": dict(Counter(alarm.state for alarm in found)),
            "ringing": [alarm.as_dict() for alarm in found if alarm.state == "ALARM"],
        },
    }


def _running(context: Context, members: Mapping[str, Sequence[str]]) -> list[tuple[str, bool]]:
    """Return type and whether it is spot for each running instance, which is what AWS charges for."""
    ids = [instance for fleet in members.values() for instance in fleet]
    if not ids:
        return []
    pages = context.aws.ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-id", "Values": ids}, {"Name": "instance-state-name", "Values": ["running"]}]
    )
    return [
        (instance["InstanceType"], instance.get("InstanceLifecycle") == "spot")
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]


def _fleet(context: Context, group: str) -> dict[str, Any]:
    answer = context.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"]
    if not answer:
        return {"group": group, "missing": True, "instances": []}
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
                "boot": [step.as_dict() for step in boot_timeline.read(context, item["InstanceId"])],
            }
            for item in found["Instances"]
        ],
        "last_activity": activities[0]["Description"] if activities else None,
    }


def _targets(context: Context, arn: str) -> dict[str, int]:
    answer = context.aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return dict(Counter(item["TargetHealth"]["State"] for item in answer))
