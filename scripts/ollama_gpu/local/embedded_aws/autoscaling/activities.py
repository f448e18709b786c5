"""Scaling activities: open them, drop old ones, and word their causes as AWS does."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from .model import Activity, Group, Place
from .region import Region
from .timestamps import stamp

SUCCESSFUL = "Successful"
FAILED = "Failed"
CANCELLED = "Cancelled"

KEPT = timedelta(weeks=6)  # Follows: Amazon EC2 Auto Scaling API Reference, DescribeScalingActivities


def open_activity(
    region: Region, group: Group, description: str, cause: str, now: datetime, place: Place | None = None
) -> Activity:
    """Add an activity in progress to the group's history. The caller closes it."""
    details: dict[str, str] = {}
    if place is not None:
        if place.subnet:
            details["Subnet ID"] = place.subnet
        details["Availability Zone"] = place.zone
    activity = Activity(group.name, group.arn, description, cause, now, json.dumps(details))
    region.activities.insert(0, activity)
    return activity


def forget_old(region: Region, now: datetime) -> None:
    """Drop the activities that are older than AWS keeps them."""
    while region.activities and now - region.activities[-1].start > KEPT:
        region.activities.pop()


def user_update(group_min: int, group_max: int, desired: int, now: datetime) -> str:
    return (
        f"At {stamp(now)} a user request update of AutoScalingGroup constraints to "
        f"min: {group_min}, max: {group_max}, desired: {desired}"
    )


def user_creation(now: datetime) -> str:
    return f"At {stamp(now)} a user request created an AutoScalingGroup"


def user_capacity(now: datetime) -> str:
    return f"At {stamp(now)} a user request explicitly set group desired capacity"


def scheduled_update(group_min: int, group_max: int, desired: int, now: datetime) -> str:
    return (
        f"At {stamp(now)} a scheduled action update of AutoScalingGroup constraints to "
        f"min: {group_min}, max: {group_max}, desired: {desired}"
    )


def alarm_execution(alarm: str, policy: str, now: datetime) -> str:
    return f"At {stamp(now)} a monitor alarm {alarm} in state ALARM triggered policy {policy}"


def started(before: int, after: int, now: datetime) -> str:
    return (
        f"At {stamp(now)} an instance was started in response to a difference between desired and actual "
        f"capacity, increasing the capacity from {before} to {after}."
    )


def shrunk(before: int, after: int, instance_id: str, now: datetime) -> str:
    return (
        f"At {stamp(now)} an instance was taken out of service in response to a difference between desired "
        f"and actual capacity, shrinking the capacity from {before} to {after}. "
        f"At {stamp(now)} instance {instance_id} was selected for termination."
    )


def taken_out(reason: str, now: datetime) -> str:
    """Word a termination. ``reason`` ends the sentence, e.g. 'an ELB system health check failure.'"""
    return f"At {stamp(now)} an instance was taken out of service in response to {reason}"


def launched_for(reason: str, now: datetime) -> str:
    return f"At {stamp(now)} an instance was launched in response to {reason}"


def user_deletion(now: datetime) -> str:
    return f"At {stamp(now)} a user request deleted the AutoScalingGroup with its instances."
