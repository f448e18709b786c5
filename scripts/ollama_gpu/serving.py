"""Waits until an environment's fleets serve: all wanted instances in service, and healthy to the load balancer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView

EVERY_SECONDS = 3.0
FAILED_LAUNCHES = 4  # in a row; one can be an accident


@dataclass(frozen=True)
class FleetState:
    """``failed`` are the causes of launches that failed, newest first, since the last that went well."""

    name: str
    wanted: int
    in_service: int
    healthy: int
    booting: int
    failed: tuple[str, ...]

    @property
    def serves(self) -> bool:
        return min(self.in_service, self.healthy) >= self.wanted

    def __str__(self) -> str:
        parts = [f"{self.healthy} of {self.wanted} healthy"]
        parts += [f"{self.booting} booting"] if self.booting else []
        parts += [f"{len(self.failed)} launches failed"] if self.failed else []
        return f"{self.name}: " + ", ".join(parts)


def wait(context: Context, outputs: dict[str, Any], view: ProgressView, seconds: float) -> None:
    """Return when every fleet serves. Raises UserError with the cause when launches keep failing, or time is over."""
    deadline = time.monotonic() + seconds
    view.started("instances")
    outcome, said = "failed", ""
    try:
        while True:
            fleets = [look(context, outputs, name) for name in outputs["fleets"]]
            if all(fleet.serves for fleet in fleets):
                outcome = "serving"
                return
            now = "; ".join(str(fleet) for fleet in fleets if fleet.wanted)
            if now != said:
                view.notice(f"instances: {now}")
                said = now
            for fleet in fleets:
                if len(fleet.failed) >= FAILED_LAUNCHES:
                    raise UserError(f"The fleet {fleet.name} cannot start instances: {fleet.failed[0]}", _REMEDY)
            if time.monotonic() > deadline:
                raise UserError(f"After {seconds:.0f} s not every instance serves: {now}.", _REMEDY)
            view.tick()
            time.sleep(EVERY_SECONDS)
    finally:
        view.finished(outcome)


_REMEDY = "See each instance's steps with: make status. Once the cause is gone, run the deploy again."


def look(context: Context, outputs: dict[str, Any], name: str) -> FleetState:
    """How a fleet stands now, asked of Auto Scaling and of the load balancer."""
    group = outputs["fleets"][name]["group_name"]
    found = context.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
    states = [item["LifecycleState"] for item in found["Instances"]]
    targets = context.aws.elbv2.describe_target_health(TargetGroupArn=outputs["target_group_arns"][name])
    return FleetState(
        name=name,
        wanted=found["DesiredCapacity"],
        in_service=states.count("InService"),
        healthy=sum(each["TargetHealth"]["State"] == "healthy" for each in targets["TargetHealthDescriptions"]),
        booting=sum(state.startswith("Pending") for state in states),
        failed=_failed_launches(context, group),
    )


def _failed_launches(context: Context, group: str) -> tuple[str, ...]:
    activities = context.aws.autoscaling.describe_scaling_activities(AutoScalingGroupName=group)["Activities"]
    failed = []
    for activity in activities:  # newest first
        if not activity["Description"].startswith("Launching"):
            continue
        if activity["StatusCode"] == "Successful":
            break
        if activity["StatusCode"] in ("Failed", "Cancelled"):
            failed.append(activity.get("StatusMessage") or activity["Cause"])
    return tuple(failed)
