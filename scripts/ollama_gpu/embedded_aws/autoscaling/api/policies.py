"""Scaling policies and scheduled actions."""

from __future__ import annotations

import uuid

from ollama_gpu.embedded_aws.autoscaling import activities, policies, schedule
from ollama_gpu.embedded_aws.autoscaling.errors import ApiError, ValidationError
from ollama_gpu.embedded_aws.autoscaling.group import Group, Json
from ollama_gpu.embedded_aws.autoscaling.schedule import ScheduledAction

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
    return {"ScalingPolicies": [policy.describe(request.region) for policy in page], "NextToken": token}


def delete_policy(request: Request) -> None:
    group, policy = _policy(request)
    policy.remove_alarms(request.region)
    del group.policies[policy.name]


def execute_policy(request: Request) -> None:
    group, policy = _policy(request)
    given = request.given
    policies.execute(
        group,
        policy,
        request.now,
        activities.policy_execution(policy.name, request.now),
        honor_cooldown=bool(given.get("HonorCooldown")),
        metric=given.get("MetricValue"),
        breach=given.get("BreachThreshold"),
    )


def _policy(request: Request) -> tuple[Group, policies.Policy]:
    name = request.given.get("AutoScalingGroupName")
    return policies.find(request.region, name, request.given["PolicyName"])


def put_scheduled_update_group_action(request: Request) -> None:
    _put_action(request, request.given)


def _put_action(request: Request, given: Json) -> None:
    region, group = request.region, request.group()
    prefix = f"arn:{region.partition}:autoscaling:{region.name}:{region.account}:scheduledUpdateGroupAction"
    name = f"autoScalingGroupName/{group.name}:scheduledActionName/{given['ScheduledActionName']}"
    schedule.put(group, f"{prefix}:{uuid.uuid4()}:{name}", given, request.now)


def batch_put_scheduled_update_group_action(request: Request) -> Json:
    failed = []
    for given in request.given["ScheduledUpdateGroupActions"]:
        try:
            _put_action(request, given)
        except ApiError as error:
            failed.append(_failure(given["ScheduledActionName"], error))
    return {"FailedScheduledUpdateGroupActions": failed}


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
    _delete_action(request, request.given["ScheduledActionName"])


def _delete_action(request: Request, name: str) -> None:
    if request.group().scheduled.pop(name, None) is None:
        raise ValidationError("Scheduled action name not found")


def batch_delete_scheduled_action(request: Request) -> Json:
    failed = []
    for name in request.given["ScheduledActionNames"]:
        try:
            _delete_action(request, name)
        except ApiError as error:
            failed.append(_failure(name, error))
    return {"FailedScheduledActions": failed}


def _failure(name: str, error: ApiError) -> Json:
    return {"ScheduledActionName": name, "ErrorCode": error.code, "ErrorMessage": error.message}


HANDLERS: tuple[Handler, ...] = (
    put_scaling_policy,
    describe_policies,
    delete_policy,
    execute_policy,
    put_scheduled_update_group_action,
    batch_put_scheduled_update_group_action,
    describe_scheduled_actions,
    delete_scheduled_action,
    batch_delete_scheduled_action,
)
