"""Which instances count as lost to a rollout, from Auto Scaling's own words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ollama_gpu.rollout.witness import lost

BEGAN = datetime(2026, 11, 23, 12, tzinfo=UTC)


def activity(description: str, status: str = "Successful", cause: str = "", minutes: float = 1) -> dict[str, Any]:
    start = BEGAN + timedelta(minutes=minutes)
    return {"Description": description, "StatusCode": status, "Cause": cause, "StartTime": start}


@pytest.mark.parametrize("status", ["Cancelled", "Failed"])
def test_an_instance_that_gave_its_launch_up_is_lost(status: str) -> None:
    assert lost([activity("Launching a new EC2 instance: i-0a1", status)], set(), BEGAN) == ["i-0a1"]


def test_a_launch_without_an_instance_says_nothing_about_the_version() -> None:
    no_capacity = activity("Launching a new EC2 instance.  Status Reason: no capacity", "Failed")
    assert lost([no_capacity], set(), BEGAN) == []


def test_what_was_before_the_rollout_does_not_count() -> None:
    assert lost([activity("Launching a new EC2 instance: i-0a1", "Cancelled", minutes=-1)], set(), BEGAN) == []


def test_a_successor_that_turned_unhealthy_is_lost_and_one_that_was_scaled_in_is_not() -> None:
    unhealthy = "At ... an instance was taken out of service in response to an ELB system health check failure."
    shrunk = "At ... an instance was taken out of service in response to a difference between desired and actual."
    gone = [
        activity("Terminating EC2 instance: i-0aa", cause=unhealthy, minutes=2),
        activity("Terminating EC2 instance: i-0bb", cause=shrunk),
        activity("Terminating EC2 instance: i-0cc", cause=unhealthy),
    ]
    assert lost(gone, {"i-0aa", "i-0bb"}, BEGAN) == ["i-0aa"]


def test_the_lost_are_told_in_their_order_and_once() -> None:
    told = [
        activity("Terminating EC2 instance: i-0a1", cause="an EC2 health check", minutes=3),
        activity("Launching a new EC2 instance: i-0b2", "Cancelled", minutes=2),
        activity("Launching a new EC2 instance: i-0a1", "Cancelled", minutes=1),
    ]
    assert lost(told, {"i-0a1"}, BEGAN) == ["i-0a1", "i-0b2"]
