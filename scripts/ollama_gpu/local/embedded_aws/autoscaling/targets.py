"""The group's instances as targets of its target groups.

An instance is registered while it is in service, drains while it terminates, and is removed afterwards. moto 5.2.5
has no unhealthy, initial or draining targets and never removes terminated ones.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeHealthStatus, FakeTargetGroup

from .errors import ValidationError
from .model import Group, Member
from .region import Region, find_region
from .settings import settings

STATES = ("initial", "healthy", "unhealthy", "unused", "draining", "unavailable")
_HEALTH = "ollama_gpu_health"
_DRAINING = "ollama_gpu_draining"

_DESCRIPTIONS = {
    "Elb.InitialHealthChecking": "Initial health checks in progress",
    "Elb.RegistrationInProgress": "Target registration is in progress",
    "Target.DeregistrationInProgress": "Target deregistration is in progress",
    "Target.FailedHealthChecks": "Health checks failed",
    "Target.NotRegistered": "Target is not registered to the target group",
    "Target.ResponseCodeMismatch": "Health checks failed with an unexpected status code",
    "Target.Timeout": "Request timed out",
}


@dataclass(frozen=True)
class TargetHealth:
    state: str
    reason: str | None
    description: str | None


def set_target_health(
    account: str, region: str, target_group_arn: str, instance_id: str, state: str, reason: str | None = None
) -> None:
    """Set the health of a registered target, as the load balancer's health check would.

    ``state`` is one of STATES, ``reason`` a code such as Target.FailedHealthChecks.
    Raises ValidationError for an unknown state, target group or target.
    """
    if state not in STATES:
        raise ValidationError(f"{state} is not a state of a target. Valid states are {', '.join(STATES)}.")
    target_group = find_region(account, region).elbv2.target_groups.get(target_group_arn)
    if target_group is None:
        raise ValidationError(f"The target group {target_group_arn} does not exist.")
    if instance_id not in target_group.targets:
        raise ValidationError(f"{instance_id} is not registered in {target_group_arn}.")
    description = _DESCRIPTIONS.get(reason or "", reason)
    _health(target_group)[instance_id] = TargetHealth(state, reason, description)


def forget_target_health(account: str, region: str) -> None:
    """Drop the health of all targets, so that each is like a newly registered one."""
    for target_group in find_region(account, region).elbv2.target_groups.values():
        _health(target_group).clear()


def state_of(region: Region, target_group_arn: str, instance_id: str) -> str | None:
    """Return the state of an instance in a target group, None if the instance or the group is missing."""
    target_group = region.elbv2.target_groups.get(target_group_arn)
    if target_group is None or instance_id not in target_group.targets:
        return None
    return str(target_group.health_for({"Id": instance_id}, region.ec2).status)


def is_unhealthy(region: Region, group: Group, member: Member) -> bool:
    return any(state_of(region, arn, member.id) == "unhealthy" for arn in group.target_group_arns)


def is_healthy(region: Region, group: Group, member: Member) -> bool:
    """Whether the instance is healthy in every target group that it is registered in."""
    states = (state_of(region, arn, member.id) for arn in group.target_group_arns)
    return all(state in (None, "healthy") for state in states)


def synchronize(region: Region, group: Group) -> None:
    """Register and deregister each instance once: a target that a person deregistered stays deregistered."""
    wanted = {member.id for member in group.members if member.in_service and member.running}
    for arn in list(group.registered):
        if arn not in group.target_group_arns:
            _deregister(region, arn, group.registered.pop(arn), drain=False)
    for arn in group.target_group_arns:
        target_group = region.elbv2.target_groups.get(arn)
        if target_group is None:  # Terraform may delete a target group before the Auto Scaling group that names it
            continue
        known = group.registered.setdefault(arn, set())
        left = known - wanted
        _deregister(region, arn, left, drain=True)
        known -= left
        if group.allows("AddToLoadBalancer"):
            for instance_id in wanted - known:
                target_group.register([{"Id": instance_id, "Port": target_group.port}])
                known.add(instance_id)


def deregister(region: Region, group: Group, member: Member, *, drain: bool) -> None:
    """Deregister an instance from all target groups. With ``drain``, it stays `draining` until a call without."""
    for arn in [*group.registered, *group.target_group_arns]:
        _deregister(region, arn, {member.id}, drain=drain)
        group.registered.get(arn, set()).discard(member.id)


def _deregister(region: Region, arn: str, instance_ids: set[str], *, drain: bool) -> None:
    target_group = region.elbv2.target_groups.get(arn)
    if target_group is None:
        return
    for instance_id in instance_ids:
        target = target_group.targets.pop(instance_id, None)
        target_group.terminated_targets.pop(instance_id, None)
        _health(target_group).pop(instance_id, None)
        if not drain:
            _draining(target_group).pop(instance_id, None)
        elif target is not None:
            _draining(target_group)[instance_id] = target


def _health(target_group: Any) -> dict[str, TargetHealth]:
    found: dict[str, TargetHealth] = target_group.__dict__.setdefault(_HEALTH, {})
    return found


def _draining(target_group: Any) -> dict[str, Any]:
    found: dict[str, Any] = target_group.__dict__.setdefault(_DRAINING, {})
    return found


def patch() -> None:
    """Make moto's Elastic Load Balancing return the states of this module."""
    original = FakeTargetGroup.health_for

    @functools.wraps(original)
    def health_for(self: Any, target: Any, ec2_backend: Any) -> Any:
        found = _found(self, target["Id"], ec2_backend)
        if found is None:
            return original(self, target, ec2_backend)
        port = target.get("Port", self.port)
        return FakeHealthStatus(
            target["Id"], port, self.health_check_port, found.state, found.reason, found.description
        )

    def describe_target_health(self: Any, target_group_arn: str, targets: list[Any]) -> list[Any]:
        target_group = self.describe_target_groups(
            target_group_arns=[target_group_arn], load_balancer_arn=None, names=None
        )[0]
        targets = targets or [*target_group.targets.values(), *_draining(target_group).values()]
        return [target_group.health_for(target, self.ec2_backend) for target in targets]

    FakeTargetGroup.health_for = health_for
    ELBv2Backend.describe_target_health = describe_target_health


def _found(target_group: Any, target_id: str, ec2_backend: Any) -> TargetHealth | None:
    """Return the health of a target, or None if moto has to determine it."""
    if target_id in target_group.targets:
        instance = ec2_backend.get_instance_by_id(target_id)
        if instance is not None and instance.state not in ("pending", "running"):
            return None
        initial = "healthy" if settings.targets_start_healthy else "initial"
        reason = None if settings.targets_start_healthy else "Elb.InitialHealthChecking"
        unprobed = TargetHealth(initial, reason, _DESCRIPTIONS.get(reason or ""))
        return _health(target_group).get(target_id, unprobed)
    if target_id in _draining(target_group):
        reason = "Target.DeregistrationInProgress"
        return TargetHealth("draining", reason, _DESCRIPTIONS[reason])
    if target_id in target_group.terminated_targets:  # moto reports it as draining for ever
        reason = "Target.NotRegistered"
        return TargetHealth("unused", reason, _DESCRIPTIONS[reason])
    return None
