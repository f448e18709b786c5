"""What happened to an environment, with time and reason: scaling, refreshes, spot notices, alarms, backups."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu import logs
from ollama_gpu.alarms import prefix, stamp
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError

COLUMNS = ("time", "kind", "about", "what", "reason")

_INSTANCE = re.compile(r"\bi-[0-9a-f]{8,17}\b")
# The event beside an activity that Auto Scaling's own list has with its cause, or a refresh's with its reason.
_TOLD_BY_ACTIVITIES = re.compile(r"EC2 Instance (Launch|Terminate) (Successful|Unsuccessful)")
_TOLD_BY_REFRESHES = re.compile(
    r"Instance Refresh (Started|Succeeded|Failed|Cancelled|Rollback Succeeded|Rollback Failed)$"
)
_REASONS = (
    "StatusMessage",
    "statusMessage",
    "Cause",
    "LifecycleTransition",
    "instance-action",
    "eventTypeCode",
    "state",
)


@dataclass(frozen=True)
class Event:
    """``kind``: scaling, refresh, lifecycle, spot, health, backup, alarm. ``about``: a fleet, an instance, an alarm."""

    time: datetime
    kind: str
    about: str
    what: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {
            "time": stamp(self.time),
            "kind": self.kind,
            "about": self.about,
            "what": self.what,
            "reason": self.reason,
        }


def read(context: Context, fleets: Mapping[str, str], since: datetime) -> list[Event]:
    """Everything since a moment, oldest first. ``fleets`` are the Auto Scaling groups by the fleet's name.

    Auto Scaling keeps six weeks, CloudWatch two weeks of the alarms' history, the log group a year.
    """
    ours: set[str] = set()
    found: list[Event] = []
    for fleet, group in fleets.items():
        found += _activities(context, fleet, group, since, ours)
        found += _refreshes(context, fleet, group, since)
    found += _logged(context, {group: fleet for fleet, group in fleets.items()}, since, ours)
    found += _alarm_changes(context, since)
    return sorted(found, key=lambda event: event.time)


def _activities(context: Context, fleet: str, group: str, since: datetime, ours: set[str]) -> Iterator[Event]:
    pages = context.aws.autoscaling.get_paginator("describe_scaling_activities")
    for page in pages.paginate(AutoScalingGroupName=group, IncludeDeletedGroups=True):
        for activity in page["Activities"]:  # newest first
            ours |= set(_INSTANCE.findall(activity["Description"]))
            if activity["StartTime"] < since:
                continue  # to the end: a spot notice may be of an instance that was launched weeks ago
            reason = activity["Cause"]
            if activity["StatusCode"] in ("Failed", "Cancelled"):
                reason = f"{activity['StatusCode']}: {activity.get('StatusMessage', '')} {reason}"
            yield Event(activity["StartTime"], "scaling", fleet, activity["Description"], " ".join(reason.split()))


def _refreshes(context: Context, fleet: str, group: str, since: datetime) -> Iterator[Event]:
    found = context.aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=group)["InstanceRefreshes"]
    for refresh in found:
        name = f"instance refresh {refresh['InstanceRefreshId'][:8]}"
        if "StartTime" in refresh and refresh["StartTime"] >= since:
            yield Event(refresh["StartTime"], "refresh", fleet, f"{name} began", "")
        if "EndTime" in refresh and refresh["EndTime"] >= since:
            reason = refresh.get("StatusReason", "")
            yield Event(refresh["EndTime"], "refresh", fleet, f"{name} ended: {refresh['Status']}", reason)


def _logged(context: Context, fleets: Mapping[str, str], since: datetime, ours: set[str]) -> Iterator[Event]:
    try:
        lines = list(logs.read(context, "events", since))
    except UserError:  # the log group is gone or not there yet; the other sources stand
        return
    for line in lines:
        try:
            said = json.loads(line.message)
            kind, detail = str(said["detail-type"]), dict(said.get("detail") or {})
        except (ValueError, KeyError, TypeError):
            continue
        event = _event(kind, detail, _moment(said, line.time), fleets, ours, context)
        if event is not None:
            yield event


def _event(
    kind: str, detail: dict[str, Any], time: datetime, fleets: Mapping[str, str], ours: set[str], context: Context
) -> Event | None:
    reason = next((str(detail[key]) for key in _REASONS if detail.get(key)), "")
    if "AutoScalingGroupName" in detail:
        fleet = fleets.get(detail["AutoScalingGroupName"])
        if fleet is None or _TOLD_BY_ACTIVITIES.search(kind) or _TOLD_BY_REFRESHES.search(kind):
            return None
        if "Lifecycle Action" in kind:
            return Event(time, "lifecycle", detail.get("EC2InstanceId", fleet), kind.removeprefix("EC2 "), reason)
        return Event(time, "refresh", fleet, kind.removeprefix("EC2 Auto Scaling "), reason)
    if "instance-id" in detail:  # a spot notice names its instance alone, and the rule hears the whole account's
        instance = detail["instance-id"]
        return Event(time, "spot", instance, kind.removeprefix("EC2 "), reason) if instance in ours else None
    if kind == "AWS Health Event":
        entities = {entity.get("entityValue") for entity in detail.get("affectedEntities", [])}
        if any(_INSTANCE.fullmatch(str(entity)) for entity in entities) and not entities & ours:
            return None
        return Event(time, "health", ", ".join(sorted(map(str, entities & ours))) or "AWS", kind, reason)
    vault = str(detail.get("backupVaultName") or detail.get("backupVaultArn", "")).rpartition(":")[2]
    if vault and not vault.startswith(prefix(context)):
        return None
    return Event(
        time, "backup", detail.get("resourceType", "backup"), kind, " ".join((detail.get("state", ""), reason))
    )


def _moment(said: dict[str, Any], otherwise: datetime) -> datetime:
    """The event's own time: text on AWS, seconds in the embedded AWS's log."""
    value = said.get("time")
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(str(value))
    except ValueError:
        return otherwise


def _alarm_changes(context: Context, since: datetime) -> Iterator[Event]:
    pages = context.aws.cloudwatch.get_paginator("describe_alarm_history").paginate(
        AlarmTypes=["MetricAlarm", "CompositeAlarm"], HistoryItemType="StateUpdate", StartDate=since
    )
    for page in pages:
        for item in page["AlarmHistoryItems"]:
            name, time = item["AlarmName"], item["Timestamp"]
            if not name.startswith(prefix(context)) or time < since:
                continue
            change = item["HistorySummary"].removeprefix("Alarm updated from ")
            if change == "INSUFFICIENT_DATA to OK":
                continue  # how every alarm begins, and how it goes on after a silence
            new = json.loads(item.get("HistoryData") or "{}").get("newState", {})
            yield Event(time, "alarm", name.removeprefix(prefix(context)), change, new.get("stateReason", ""))
