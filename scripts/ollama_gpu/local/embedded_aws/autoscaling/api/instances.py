"""Instances of groups: describe, health, protection, standby, detach, terminate."""

from __future__ import annotations

from ollama_gpu.local.embedded_aws.autoscaling import activities, health, launch, targets, termination
from ollama_gpu.local.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.local.embedded_aws.autoscaling.model import (
    HEALTHY,
    STANDBY,
    UNHEALTHY,
    Activity,
    Group,
    Json,
    Member,
    Replacement,
)
from ollama_gpu.local.embedded_aws.autoscaling.timestamps import stamp

from .request import Handler, Request


def describe_auto_scaling_instances(request: Request) -> Json:
    ids = request.given.get("InstanceIds")
    found = [
        member.describe() | {"AutoScalingGroupName": group.name}
        for group in request.region.groups.values()
        for member in group.members
        if not ids or member.id in ids
    ]
    page, token = request.page(found, 50)
    return {"AutoScalingInstances": page, "NextToken": token}


def set_instance_health(request: Request) -> None:
    status = request.given["HealthStatus"]
    if status not in (HEALTHY, UNHEALTHY):
        raise ValidationError(f"Valid instance health states are: [{HEALTHY}, {UNHEALTHY}]")
    group, member = request.member()
    respect_grace = request.given.get("ShouldRespectGracePeriod", True)
    if status == UNHEALTHY and respect_grace and health.in_grace(group, member, request.now):
        return
    member.health = status


def set_instance_protection(request: Request) -> None:
    for member in request.members(request.group()):
        member.protected = bool(request.given["ProtectedFromScaleIn"])


def terminate_instance_in_auto_scaling_group(request: Request) -> Json:
    group, member = request.member()
    if member.terminating:
        raise ValidationError(f"The instance {member.id} is not in InService or Standby.")
    cause = f"At {stamp(request.now)} instance {member.id} was taken out of service in response to a user request"
    if request.given["ShouldDecrementDesiredCapacity"]:
        cause += _decrement(group, [member])
    elif member.counts:
        launched = activities.launched_for("an instance that a user request terminated.", request.now)
        group.mark(member, Replacement("", launch_first=False), launched)
    activity = termination.begin(request.region, group, member, f"{cause}.", request.now)
    return {"Activity": activity.describe()}


def enter_standby(request: Request) -> Json:
    group = request.group()
    members = request.members(group)
    _require(members, "InService")
    shrink = bool(request.given["ShouldDecrementDesiredCapacity"])
    change = _decrement(group, members) if shrink else ""
    return {
        "Activities": [
            _leave(request, group, member, "Moving EC2 instance to Standby", "moved to standby", change, STANDBY)
            for member in members
        ]
    }


def exit_standby(request: Request) -> Json:
    group = request.group()
    members = request.members(group)
    _require(members, STANDBY)
    before = group.desired_capacity
    _check_max(group, before + len(members))
    group.desired_capacity = before + len(members)
    found = []
    for member in members:
        cause = (
            f"At {stamp(request.now)} instance {member.id} was moved out of standby in response to a user request, "
            f"increasing the capacity from {before} to {group.desired_capacity}."
        )
        member.lifecycle_state = "Pending"
        member.health = HEALTHY
        member.activity = _open(request, group, f"Moving EC2 instance out of Standby: {member.id}", cause, member)
        found.append(member.activity.describe())
    return {"Activities": found}


def detach_instances(request: Request) -> Json:
    group = request.group()
    members = request.members(group)
    change = _decrement(group, members) if request.given["ShouldDecrementDesiredCapacity"] else ""
    found = []
    for member in members:
        found.append(_leave(request, group, member, "Detaching EC2 instance", "detached", change, "Detached"))
        targets.deregister(request.region, group, member, drain=False)
        group.members.remove(member)
        request.region.ec2.delete_tags([member.id], {launch.GROUP_TAG: group.name})
    return {"Activities": found}


def _leave(
    request: Request, group: Group, member: Member, description: str, verb: str, change: str, state: str
) -> Json:
    cause = f"At {stamp(request.now)} instance {member.id} was {verb} in response to a user request{change}."
    activity = _open(request, group, f"{description}: {member.id}", cause, member)
    member.lifecycle_state = state
    member.mark = None
    member.in_service_since = None
    targets.deregister(request.region, group, member, drain=True)
    described = activity.describe()
    activity.close(activities.SUCCESSFUL, request.now)
    return described


def _open(request: Request, group: Group, description: str, cause: str, member: Member) -> Activity:
    return activities.open_activity(request.region, group, description, cause, request.now, member.place)


def _decrement(group: Group, members: list[Member]) -> str:
    """Decrease the desired capacity by the instances that leave. Returns the end of the activity's cause."""
    before = group.desired_capacity
    after = before - sum(member.counts for member in members)
    if after < group.min_size:
        raise ValidationError(
            f"Currently, desiredSize equals minSize ({group.min_size}). Terminating instance without replacement "
            "will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or "
            "lower group's min size."
        )
    group.desired_capacity = after
    return f", shrinking the capacity from {before} to {after}"


def _require(members: list[Member], state: str) -> None:
    for member in members:
        if member.lifecycle_state != state:
            raise ValidationError(f"The instance {member.id} is not in {state}.")


def _check_max(group: Group, desired: int) -> None:
    if desired > group.max_size:
        raise ValidationError(
            f"The new desired capacity {desired} would be above max value {group.max_size} for the AutoScalingGroup."
        )


HANDLERS: tuple[Handler, ...] = (
    describe_auto_scaling_instances,
    set_instance_health,
    set_instance_protection,
    terminate_instance_in_auto_scaling_group,
    enter_standby,
    exit_standby,
    detach_instances,
)
