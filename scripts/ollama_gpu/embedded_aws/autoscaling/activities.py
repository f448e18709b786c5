"""Scaling activities: every launch and termination, with its cause in AWS's wording."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .clock import stamp
from .group import Group, Json, Place
from .region import Region

IN_PROGRESS = "InProgress"
SUCCESSFUL = "Successful"
FAILED = "Failed"
CANCELLED = "Cancelled"

KEPT = timedelta(weeks=6)  # DescribeScalingActivities: "activities of the past six weeks"


@dataclass
class Activity:
    """One line of a group's history."""

    group: str
    group_arn: str
    description: str
    cause: str
    start: datetime
    details: str
    status: str = IN_PROGRESS
    message: str | None = None
    progress: int = 0
    end: datetime | None = None
    group_deleted: bool = False
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def close(self, status: str, now: datetime, message: str | None = None) -> None:
        """End it; an activity that has ended stays as it is."""
        if self.end is None:
            self.status, self.end, self.progress, self.message = status, now, 100, message

    def describe(self) -> Json:
        return {
            "ActivityId": self.id,
            "AutoScalingGroupName": self.group,
            "AutoScalingGroupARN": self.group_arn,
            "AutoScalingGroupState": "Deleted" if self.group_deleted else None,
            "Description": self.description,
            "Cause": self.cause,
            "StartTime": self.start,
            "EndTime": self.end,
            "StatusCode": self.status,
            "StatusMessage": self.message,
            "Progress": self.progress,
            "Details": self.details,
        }


def open_activity(
    region: Region, group: Group, description: str, cause: str, now: datetime, place: Place | None = None
) -> Activity:
    """Begin an activity in the group's history and return it, to be closed when it ends."""
    details: dict[str, str] = {}
    if place is not None:
        if place.subnet:
            details["Subnet ID"] = place.subnet
        details["Availability Zone"] = place.zone
    activity = Activity(group.name, group.arn, description, cause, now, json.dumps(details))
    region.activities.insert(0, activity)
    return activity


def forget_old(region: Region, now: datetime) -> None:
    """Drop activities past the time that AWS keeps them."""
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


def policy_execution(policy: str, now: datetime) -> str:
    return f"At {stamp(now)} a user request executed policy {policy}"


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
    """``reason`` completes the sentence, e.g. 'an ELB system health check failure.'"""
    return f"At {stamp(now)} an instance was taken out of service in response to {reason}"


def launched_for(reason: str, now: datetime) -> str:
    return f"At {stamp(now)} an instance was launched in response to {reason}"


def user_deletion(now: datetime) -> str:
    return f"At {stamp(now)} a user request deleted the AutoScalingGroup with its instances."
