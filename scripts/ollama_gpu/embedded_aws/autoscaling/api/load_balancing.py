"""Target groups of groups, by either of the two names that the API has for them."""

from __future__ import annotations

from ollama_gpu.embedded_aws.autoscaling import targets
from ollama_gpu.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.embedded_aws.autoscaling.group import Group, Json
from ollama_gpu.embedded_aws.autoscaling.region import Region

from .request import Handler, Request


def arns_given(given: Json) -> list[str]:
    """The target groups of a request. Raises ValidationError for classic load balancers and other sources."""
    if given.get("LoadBalancerNames"):
        raise ValidationError("The embedded AWS has no classic load balancers: attach target groups.")
    arns = list(given.get("TargetGroupARNs") or [])
    for source in given.get("TrafficSources") or []:
        if source.get("Type", "elbv2") != "elbv2":
            raise ValidationError("The embedded AWS attaches traffic sources of type elbv2 only.")
        arns.append(source["Identifier"])
    return list(dict.fromkeys(arns))


def attach(region: Region, group: Group, arns: list[str]) -> None:
    """Attach target groups. Raises ValidationError for one that does not exist."""
    for arn in arns:
        if arn not in region.elbv2.target_groups:
            raise ValidationError(
                f"Provided Target Groups may not be valid. Please ensure they exist and try again: {arn}"
            )
    group.target_group_arns += [arn for arn in arns if arn not in group.target_group_arns]


def _attach(request: Request) -> None:
    group = request.group()
    attach(request.region, group, arns_given(request.given))
    targets.synchronise(request.region, group)


def _detach(request: Request) -> None:
    group, arns = request.group(), arns_given(request.given)
    group.target_group_arns = [arn for arn in group.target_group_arns if arn not in arns]
    targets.synchronise(request.region, group)


def attach_load_balancer_target_groups(request: Request) -> None:
    _attach(request)


def detach_load_balancer_target_groups(request: Request) -> None:
    _detach(request)


def attach_traffic_sources(request: Request) -> None:
    _attach(request)


def detach_traffic_sources(request: Request) -> None:
    _detach(request)


def attach_load_balancers(request: Request) -> None:
    arns_given(request.given)


def detach_load_balancers(request: Request) -> None:
    arns_given(request.given)


def describe_load_balancers(request: Request) -> Json:
    request.group()
    return {"LoadBalancers": []}


def describe_load_balancer_target_groups(request: Request) -> Json:
    arns = request.group().target_group_arns
    page, token = request.page(arns, 100)
    return {
        "LoadBalancerTargetGroups": [
            {"LoadBalancerTargetGroupARN": arn, "State": _state(request, arn)} for arn in page
        ],
        "NextToken": token,
    }


def describe_traffic_sources(request: Request) -> Json:
    kind = request.given.get("TrafficSourceType")
    arns = request.group().target_group_arns if kind in (None, "elbv2") else []
    page, token = request.page(arns, 50)
    return {
        "TrafficSources": [
            {"TrafficSource": arn, "Identifier": arn, "Type": "elbv2", "State": _state(request, arn)} for arn in page
        ],
        "NextToken": token,
    }


def _state(request: Request, arn: str) -> str:
    """Adding, Added or InService, as the API's page for LoadBalancerTargetGroupState tells them apart."""
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
    attach_traffic_sources,
    detach_traffic_sources,
    attach_load_balancers,
    detach_load_balancers,
    describe_load_balancers,
    describe_load_balancer_target_groups,
    describe_traffic_sources,
)
