"""The health of targets, in Elastic Load Balancing's terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .slots import Slot, Slots, name
from .stats import Row
from .view import FrontDoorView, TargetGroup


@dataclass(frozen=True)
class TargetHealth:
    """``state`` is initial, healthy, unhealthy or draining; ``reason`` is AWS's code, None for a healthy target."""

    target_group_arn: str
    instance_id: str
    state: str
    reason: str | None


def judge(view: FrontDoorView, slots: Slots, rows: Mapping[tuple[str, str], Row]) -> list[TargetHealth]:
    """Return the health of every registered or draining target."""
    return [found for group in view.target_groups for found in _group(group, slots, rows)]


def _group(group: TargetGroup, slots: Slots, rows: Mapping[tuple[str, str], Row]) -> Iterator[TargetHealth]:
    taken = slots.get(group.backend, {})
    served = {slot.instance_id: number for number, slot in taken.items() if slot.draining_since is None}
    registered = [target.instance_id for target in group.targets if target.state != "draining"]
    for instance_id in registered:
        number = served.get(instance_id)
        if number is None:
            yield TargetHealth(group.arn, instance_id, "initial", "Elb.RegistrationInProgress")
        else:
            row = rows.get((group.backend, name(number)))
            yield TargetHealth(group.arn, instance_id, *_state(taken[number], row))
    for slot in taken.values():
        if slot.draining_since is not None and slot.instance_id not in registered:
            yield TargetHealth(group.arn, slot.instance_id, "draining", "Target.DeregistrationInProgress")


def _state(slot: Slot, row: Row | None) -> tuple[str, str | None]:
    if row is None or row.in_maintenance:
        return "initial", "Elb.RegistrationInProgress"
    if not row.is_down:
        return "healthy", None
    if not slot.proven:
        return "initial", "Elb.InitialHealthChecking"
    return "unhealthy", _reason(row.check_status)


def _reason(check_status: str) -> str:
    if check_status.endswith("TOUT"):
        return "Target.Timeout"
    if check_status == "L7STS":
        return "Target.ResponseCodeMismatch"
    return "Target.FailedHealthChecks"
