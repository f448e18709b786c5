"""The events of an environment, with time and reason: scaling, refreshes, spot notices, alarms, backups."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.observe import logs
from ollama_gpu.observe.alarms import prefix, timestamp

COLUMNS = ("time", "kind", "about", "what", "reason")

_INSTANCE = re.compile(r"\bi-[0-9a-f]{8,17}\b")
# Duplicates of entries that Auto Scaling's own lists have, with the cause of an activity or the reason of a refresh.
_IN_ACTIVITIES = re.compile(r"EC2 Instance (Launch|Terminate) (Successful|Unsuccessful)")
_IN_REFRESHES = re.compile(r"Instance Refresh (Started|Succeeded|Failed|Cancelled|Rollback Succeeded|Rollback Failed)$")
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
    """One event.

    ``kind`` is scaling, refresh, lifecycle, spot, health, backup or alarm. ``about`` names a fleet, instance or alarm.
    """

    time: datetime
    kind: str
    about: str
    what: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {
            "time": timestamp(self.time),
            "kind": self.kind,
            "about": self.about,
            "what": self.what,
            "reason": self.reason,
        }


def read(context: Context, fleets: Mapping[str, str], since: datetime) -> list[Event]:
    """Return the events since a time, oldest first. ``fleets`` maps fleet names to Auto Scaling groups.

    Auto Scaling keeps its history for six weeks, CloudWatch the alarm history for two weeks, the log group a year.
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
                continue  # no break: a spot notice may concern an instance that was launched weeks ago
            reason = activity["Cause"]
            if activity["StatusCode"] in ("Failed", "Cancelled"):
                reason = f"{activity['StatusCode']}: {activity.get('StatusMessage', '')} {reason}"
            yield Event(activity["StartTime"], "scaling", fleet, activity["Description"], " ".join(reason.split()))


def _refreshes(context: Context, fleet: str, group: str, since: datetime) -> Iterator[Event]:
    found = context.aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=group)["InstanceRefreshes"]
    for refresh in found:
        name = f"instance refresh {refresh['InstanceRefreshId'][:8]}"
        if "StartTime" in refresh and refresh["StartTime"] >= since:
            yield Event(refresh["StartTime"], "refresh", fleet, f"{name} started", "")
        if "EndTime" in refresh and refresh["EndTime"] >= since:
            reason = refresh.get("StatusReason", "")
            yield Event(refresh["EndTime"], "refresh", fleet, f"{name} ended: {refresh['Status']}", reason)


def _logged(context: Context, fleets: Mapping[str, str], since: datetime, ours: set[str]) -> Iterator[Event]:
    try:
        lines = list(logs.read(context, "events", since))
    except UserError:  # the log group does not exist; the other sources remain
        return
    for line in lines:
        try:
            message = json.loads(line.message)
            kind, detail = str(message["detail-type"]), dict(message.get("detail") or {})
        except (ValueError, KeyError, TypeError):
            continue
        event = _event(kind, detail, _event_time(message, line.time), fleets, ours, context)
        if event is not None:
            yield event


def _event(
    kind: str, detail: dict[str, Any], time: datetime, fleets: Mapping[str, str], ours: set[str], context: Context
) -> Event | None:
    reason = next((str(detail[key]) for key in _REASONS if detail.get(key)), "")
    if "AutoScalingGroupName" in detail:
        fleet = fleets.get(detail["AutoScalingGroupName"])
        if fleet is None or _IN_ACTIVITIES.search(kind) or _IN_REFRESHES.search(kind):
            return None
        if "Lifecycle Action" in kind:
            return Event(time, "lifecycle", detail.get("EC2InstanceId", fleet), kind.removeprefix("EC2 "), reason)
        return Event(time, "refresh", fleet, kind.removeprefix("EC2 Auto Scaling "), reason)
    if "instance-id" in detail:  # a spot notice names only its instance, and the rule matches the whole account
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


def _event_time(message: dict[str, Any], fallback: datetime) -> datetime:
    """Return the event's time, which is ISO 8601 text on AWS and epoch seconds in the embedded AWS."""
    value = message.get("time")
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        return datetime.fromisoformat(str(value))
    except ValueError:
        return fallback


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
                continue  # the first state of every alarm, and the state after missing data
            new = json.loads(item.get("HistoryData") or "{}").get("newState", {})
            yield Event(time, "alarm", name.removeprefix(prefix(context)), change, new.get("stateReason", ""))
