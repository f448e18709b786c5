"""Target groups of Auto Scaling groups: attach, detach, describe."""

from __future__ import annotations

from ollama_gpu.local.embedded_aws.autoscaling import targets
from ollama_gpu.local.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.local.embedded_aws.autoscaling.model import Group, Json
from ollama_gpu.local.embedded_aws.autoscaling.region import Region

from .request import Handler, Request


def attach(region: Region, group: Group, arns: list[str]) -> None:
    """Attach target groups. Raises ValidationError if one does not exist."""
    for arn in arns:
        if arn not in region.elbv2.target_groups:
            raise ValidationError(
                f"Provided Target Groups may not be valid. Please ensure they exist and try again: {arn}"
            )
    group.target_group_arns += [arn for arn in arns if arn not in group.target_group_arns]


def attach_load_balancer_target_groups(request: Request) -> None:
    group = request.group()
    attach(request.region, group, request.given["TargetGroupARNs"])
    targets.synchronize(request.region, group)


def detach_load_balancer_target_groups(request: Request) -> None:
    group, arns = request.group(), request.given["TargetGroupARNs"]
    group.target_group_arns = [arn for arn in group.target_group_arns if arn not in arns]
    targets.synchronize(request.region, group)


def describe_load_balancer_target_groups(request: Request) -> Json:
    arns = request.group().target_group_arns
    page, token = request.page(arns, 100)
    return {
        "LoadBalancerTargetGroups": [
            {"LoadBalancerTargetGroupARN": arn, "State": _state(request, arn)} for arn in page
        ],
        "NextToken": token,
    }


def _state(request: Request, arn: str) -> str:
    """Return Adding, Added or InService. Follows: LoadBalancerTargetGroupState."""
    group = request.group()
    registered = group.registered.get(arn, set())
    serving = [member for member in group.members if member.in_service]
    if any(member.id not in registered for member in serving):
        return "Adding"
    states = [targets.state_of(request.region, arn, instance_id) for instance_id in registered]
    return "InService" if "healthy" in states else "Added"


HANDLERS: tuple[Handler, ...] = (
    attach_load_balancer_target_groups,
    detach_load_balancer_target_groups,
    describe_load_balancer_target_groups,
)
