"""Waits until the fleets serve: the desired number of instances is in service and passes the health check."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.terraform.progress import ProgressView

EVERY_SECONDS = 3.0
CLOCK_SLACK = timedelta(minutes=1)  # between this machine's clock and AWS's
FAILED_LAUNCHES = 4  # in a row; a single failure can be an accident


@dataclass(frozen=True)
class FleetState:
    """The state of a fleet. ``failed`` has the causes of launches that failed since the last success, newest first."""

    name: str
    desired: int
    in_service: int
    healthy: int
    booting: int
    failed: tuple[str, ...]

    @property
    def serves(self) -> bool:
        return min(self.in_service, self.healthy) >= self.desired

    def __str__(self) -> str:
        parts = [f"{self.healthy} of {self.desired} healthy"]
        parts += [f"{self.booting} booting"] if self.booting else []
        parts += [f"{len(self.failed)} launches failed"] if self.failed else []
        return f"{self.name}: " + ", ".join(parts)


def wait(context: Context, outputs: dict[str, Any], view: ProgressView, seconds: float, since: datetime) -> None:
    """Return when every fleet serves. Raises UserError with the cause if launches keep failing, or on timeout.

    ``since``: the start of the deploy. Auto Scaling keeps activities for six weeks, and earlier failures do not count.
    """
    deadline = time.monotonic() + seconds
    view.started("instances")
    outcome, reported = "failed", ""
    try:
        while True:
            fleets = [read_fleet(context, outputs, name, since) for name in outputs["fleets"]]
            if all(fleet.serves for fleet in fleets):
                outcome = "serving"
                return
            now = "; ".join(str(fleet) for fleet in fleets if fleet.desired)
            view.detail(now)
            if now != reported:
                view.notice(f"instances: {now}")
                reported = now
            for fleet in fleets:
                if len(fleet.failed) >= FAILED_LAUNCHES:
                    raise UserError(f"The fleet {fleet.name} cannot launch instances: {fleet.failed[0]}", _REMEDY)
            if time.monotonic() > deadline:
                raise UserError(f"Timed out after {seconds:.0f} s waiting for all instances to serve: {now}.", _REMEDY)
            view.tick()
            time.sleep(EVERY_SECONDS)
    finally:
        view.finished(outcome)


_REMEDY = "See the boot steps of each instance with `make status`. Fix the cause, then run the deploy again."


def read_fleet(context: Context, outputs: dict[str, Any], name: str, since: datetime | None = None) -> FleetState:
    """Read the state of a fleet from Auto Scaling and the load balancer.

    ``since``: failed launches that began earlier do not count; None counts all since the last success.
    """
    group = outputs["fleets"][name]["group_name"]
    found = context.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
    states = [item["LifecycleState"] for item in found["Instances"]]
    targets = context.aws.elbv2.describe_target_health(TargetGroupArn=outputs["target_group_arns"][name])
    return FleetState(
        name=name,
        desired=found["DesiredCapacity"],
        in_service=states.count("InService"),
        healthy=sum(each["TargetHealth"]["State"] == "healthy" for each in targets["TargetHealthDescriptions"]),
        booting=sum(state.startswith("Pending") for state in states),
        failed=_failed_launches(context, group, since),
    )


def _failed_launches(context: Context, group: str, since: datetime | None) -> tuple[str, ...]:
    activities = context.aws.autoscaling.describe_scaling_activities(AutoScalingGroupName=group)["Activities"]
    failed = []
    for activity in activities:  # newest first
        if not activity["Description"].startswith("Launching"):
            continue
        if activity["StatusCode"] == "Successful" or (since and activity["StartTime"] < since - CLOCK_SLACK):
            break
        if activity["StatusCode"] in ("Failed", "Cancelled"):
            failed.append(activity.get("StatusMessage") or activity["Cause"])
    return tuple(failed)
