"""The boot of one instance of the baked image: from its launch until it is in service, and where the time goes."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from bench.measure import say
from tests.serving import fleet
from tests.serving.conftest import Serving

RUNS = 3
SLOWEST = 8
TIMELINE = "/var/lib/ollama-gpu/boot/timeline.json"
LAUNCHED = re.compile(r"Launching a new EC2 instance: (?P<instance>i-[0-9a-f]+)")


def figures(serving: Serving) -> dict[str, Any]:
    """Replace one instance ``RUNS`` times. The other instances only serve."""
    boots = [_boot(serving, run) for run in range(1, RUNS + 1)]
    return {
        "boot of a baked image, launch to in service, s": [each["in service"] for each in boots],
        "boot of a baked image, boot program, s": [each["program"] for each in boots],
        f"boot of a baked image, the {SLOWEST} slowest steps of the last boot, s": boots[-1]["slowest"],
    }


def _boot(serving: Serving, run: int) -> dict[str, Any]:
    known = serving.instances()
    say(f"boot: {run} of {RUNS}")
    serving.context.aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=known[0], ShouldDecrementDesiredCapacity=False
    )
    fleet.until(
        lambda: fleet.whole(serving) and known[0] not in serving.instances(), "replacement", fleet.WHOLE_SECONDS
    )
    new = next(each for each in serving.instances() if each not in known)
    timeline = json.loads(serving.run(new, "cat", TIMELINE))
    steps = sorted(timeline["steps"], key=lambda step: step["seconds"], reverse=True)
    parts = [step for step in steps if step["step"] != "converge"]  # which contains them
    return {
        "in service": _seconds_to_service(serving, new),
        "program": timeline["seconds"],
        "slowest": {step["step"]: step["seconds"] for step in parts[:SLOWEST]},
    }


def _seconds_to_service(serving: Serving, instance: str) -> float:
    """From the start to the end of the group's activity that launched the instance."""
    pages = serving.context.aws.autoscaling.get_paginator("describe_scaling_activities")
    for page in pages.paginate(AutoScalingGroupName=serving.group, IncludeDeletedGroups=False):
        for activity in page["Activities"]:
            launched = LAUNCHED.match(activity["Description"])
            if launched and launched["instance"] == instance:
                began: datetime = activity["StartTime"]
                return round((activity["EndTime"] - began).total_seconds(), 1)
    raise SystemExit(f"The group has no activity that launched {instance}.")
