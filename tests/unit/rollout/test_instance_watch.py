"""Which instances a rollout counts as lost, from Auto Scaling activities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ollama_gpu.rollout.instance_watch import lost

BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)


def activity(description: str, status: str = "Successful", cause: str = "", minutes: float = 1) -> dict[str, Any]:
    start = BEGAN + timedelta(minutes=minutes)
    return {"Description": description, "StatusCode": status, "Cause": cause, "StartTime": start}


@pytest.mark.parametrize("status", ["Cancelled", "Failed"])
def test_instance_with_failed_launch_is_lost(status: str) -> None:
    assert lost([activity("Launching a new EC2 instance: i-0a1", status)], set(), BEGAN) == ["i-0a1"]


def test_failed_launch_without_instance_does_not_count() -> None:
    no_capacity = activity("Launching a new EC2 instance.  Status Reason: no capacity", "Failed")
    assert lost([no_capacity], set(), BEGAN) == []


def test_activity_before_rollout_does_not_count() -> None:
    assert lost([activity("Launching a new EC2 instance: i-0a1", "Cancelled", minutes=-1)], set(), BEGAN) == []


def test_unhealthy_new_instance_is_lost_and_scaled_in_instance_is_not() -> None:
    unhealthy = "At ... an instance was taken out of service in response to an ELB system health check failure."
    shrunk = "At ... an instance was taken out of service in response to a difference between desired and actual."
    gone = [
        activity("Terminating EC2 instance: i-0aa", cause=unhealthy, minutes=2),
        activity("Terminating EC2 instance: i-0bb", cause=shrunk),
        activity("Terminating EC2 instance: i-0cc", cause=unhealthy),
    ]
    assert lost(gone, {"i-0aa", "i-0bb"}, BEGAN) == ["i-0aa"]


def test_lost_instances_are_unique_and_in_order_of_time() -> None:
    activities = [
        activity("Terminating EC2 instance: i-0a1", cause="an EC2 health check", minutes=3),
        activity("Launching a new EC2 instance: i-0b2", "Cancelled", minutes=2),
        activity("Launching a new EC2 instance: i-0a1", "Cancelled", minutes=1),
    ]
    assert lost(activities, {"i-0a1"}, BEGAN) == ["i-0a1", "i-0b2"]
