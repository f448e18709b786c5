"""Scaling policies and scheduled actions."""

from __future__ import annotations

import uuid

from ollama_gpu.local.embedded_aws.autoscaling import policies, schedule
from ollama_gpu.local.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.local.embedded_aws.autoscaling.model import Group, Json, Policy, ScheduledAction

from .request import Handler, Request


def put_scaling_policy(request: Request) -> Json:
    policy = policies.put(request.region, request.group(), request.given)
    alarms = [{"AlarmName": name, "AlarmARN": arn} for name, arn in policy.alarms]
    return {"PolicyARN": policy.arn, "Alarms": alarms}


def describe_policies(request: Request) -> Json:
    given = request.given
    names, kinds = given.get("PolicyNames"), given.get("PolicyTypes")
    found = [
        policy
        for group in request.region.groups.values()
        if given.get("AutoScalingGroupName") in (None, group.name)
        for policy in group.policies.values()
        if (not names or policy.name in names or policy.arn in names) and (not kinds or policy.kind in kinds)
    ]
    page, token = request.page(found, 50)
    return {"ScalingPolicies": [policies.describe(request.region, policy) for policy in page], "NextToken": token}


def delete_policy(request: Request) -> None:
    group, policy = _policy(request)
    policies.remove_alarms(request.region, policy)
    del group.policies[policy.name]


def _policy(request: Request) -> tuple[Group, Policy]:
    name = request.given.get("AutoScalingGroupName")
    return policies.find(request.region, name, request.given["PolicyName"])


def put_scheduled_update_group_action(request: Request) -> None:
    region, group, given = request.region, request.group(), request.given
    prefix = f"arn:{region.partition}:autoscaling:{region.name}:{region.account}:scheduledUpdateGroupAction"
    name = f"autoScalingGroupName/{group.name}:scheduledActionName/{given['ScheduledActionName']}"
    schedule.put(group, f"{prefix}:{uuid.uuid4()}:{name}", given, request.now)


def describe_scheduled_actions(request: Request) -> Json:
    names = request.given.get("ScheduledActionNames")
    found: list[ScheduledAction] = [
        action
        for group in request.region.groups.values()
        if request.given.get("AutoScalingGroupName") in (None, group.name)
        for action in group.scheduled.values()
        if not names or action.name in names
    ]
    page, token = request.page(found, 50)
    return {"ScheduledUpdateGroupActions": [action.describe() for action in page], "NextToken": token}


def delete_scheduled_action(request: Request) -> None:
    if request.group().scheduled.pop(request.given["ScheduledActionName"], None) is None:
        raise ValidationError("Scheduled action name not found")


HANDLERS: tuple[Handler, ...] = (
    put_scaling_policy,
    describe_policies,
    delete_policy,
    put_scheduled_update_group_action,
    describe_scheduled_actions,
    delete_scheduled_action,
)
