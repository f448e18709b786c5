"""What Auto Scaling tells the world: EventBridge events and SNS notifications, in the documented shapes.

moto matches event patterns and delivers to log groups and queues, but gives up on the whole rule at a kind of
target that it lacks: so each target is served alone, and topics are served here.
"""

from __future__ import annotations

import copy
import json
import logging
import uuid
from datetime import datetime
from typing import Any

from moto.events.models import events_backends
from moto.sns.models import sns_backends

from .activities import Activity
from .clock import stamp
from .group import Group, Json, Member
from .region import Region

log = logging.getLogger(__name__)

SOURCE = "aws.autoscaling"


def emit(region: Region, detail_type: str, resources: list[str], detail: Json, now: datetime) -> None:
    """Put an event on the default bus; a target that cannot be reached is logged, as AWS would retry and drop."""
    event: Json = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": SOURCE,
        "account": region.account,
        "time": now.timestamp(),
        "region": region.name,
        "resources": resources,
        "detail": detail,
        "ingestion-time": now.timestamp(),
    }
    bus = events_backends[region.account][region.name].event_buses["default"]
    for rule in list(bus.rules.values()):
        # moto matches every event against the empty pattern of a schedule
        if rule.state != "ENABLED" or rule.scheduled_expression or not rule.event_pattern.matches_event(event):
            continue
        for target in rule.targets:
            try:
                _deliver(region, rule, target, copy.deepcopy(event))
            except Exception as error:
                log.warning("event %r did not reach %s: %s", detail_type, target["Arn"], error)


def _deliver(region: Region, rule: Any, target: Json, event: Json) -> None:
    if ":sns:" in target["Arn"]:
        del event["ingestion-time"]
        event |= {"time": stamp(datetime.fromtimestamp(event["time"]).astimezone())}
        transformer = target.get("InputTransformer")
        publish(region, target["Arn"], None, _transformed(transformer, event) if transformer else event)
        return
    alone = copy.copy(rule)
    # an ARN of a log group may end in `:*`, which moto takes for a part of its name
    alone.targets = [target | {"Arn": target["Arn"].removesuffix(":*")}]
    alone.send_to_targets(event)


def _transformed(transformer: Json, event: Json) -> Any:
    """The target's own words about an event; a path that leads nowhere leaves its place empty, as on AWS."""
    text = transformer["InputTemplate"]
    for name, path in transformer.get("InputPathsMap", {}).items():
        value: Any = event
        for key in path.removeprefix("$.").split("."):
            value = value.get(key, "") if isinstance(value, dict) else ""
        quoted = json.dumps(value)
        text = text.replace(f"<{name}>", quoted[1:-1] if isinstance(value, str) else quoted)
    return json.loads(text)


def publish(region: Region, topic_arn: str, subject: str | None, message: Any) -> None:
    """Send a message to an SNS topic of any region."""
    backend = sns_backends[region.account][topic_arn.split(":")[3]]
    backend.publish(message=json.dumps(message), arn=topic_arn, subject=subject)


def instance_event(
    region: Region, group: Group, instance_id: str, activity: Activity, kind: str, now: datetime
) -> None:
    """Tell of a launch or termination that ended; ``kind`` is 'Launch' or 'Terminate'."""
    successful = activity.status == "Successful"
    outcome = "Successful" if successful else "Unsuccessful"
    detail = {
        "StatusCode": "InProgress" if successful else activity.status,
        "Description": activity.description,
        "AutoScalingGroupName": group.name,
        "ActivityId": activity.id,
        "RequestId": activity.id,
        "Details": json.loads(activity.details),
        "StatusMessage": activity.message or "",
        "StartTime": stamp(activity.start),
        "EndTime": stamp(now),
        "EC2InstanceId": instance_id,
        "Cause": activity.cause,
        "Origin": "EC2" if kind == "Launch" else "AutoScalingGroup",
        "Destination": "AutoScalingGroup" if kind == "Launch" else "EC2",
    }
    resources = [group.arn]
    if instance_id:
        resources.append(instance_arn(region, instance_id))
    emit(region, f"EC2 Instance {kind} {outcome}", resources, detail, now)
    notification = f"autoscaling:EC2_INSTANCE_{kind.upper()}" + ("" if successful else "_ERROR")
    _notify(region, group, notification, detail, now)


def lifecycle_event(
    region: Region, group: Group, member: Member, hook: Any, token: str, kind: str, now: datetime
) -> None:
    """Tell whoever waits for it that an instance waits; ``kind`` is 'launch' or 'terminate'."""
    detail = {
        "LifecycleActionToken": token,
        "AutoScalingGroupName": group.name,
        "LifecycleHookName": hook.name,
        "EC2InstanceId": member.id,
        "LifecycleTransition": hook.transition,
        "NotificationMetadata": hook.notification_metadata,
        "Origin": "EC2" if kind == "launch" else "AutoScalingGroup",
        "Destination": "AutoScalingGroup" if kind == "launch" else "EC2",
    }
    detail = {key: value for key, value in detail.items() if value is not None}
    emit(region, f"EC2 Instance-{kind} Lifecycle Action", [group.arn], detail, now)
    if hook.notification_target_arn and ":sns:" in hook.notification_target_arn:
        message = detail | {"Service": "AWS Auto Scaling", "AccountId": region.account, "Time": stamp(now)}
        _try_publish(region, hook.notification_target_arn, f"Auto Scaling: Lifecycle action for {group.name}", message)


def refresh_event(region: Region, group: Group, refresh_id: str, what: str, now: datetime) -> None:
    """Tell of a refresh; ``what`` is 'Started', 'Checkpoint Reached', 'Succeeded', 'Rollback Started' ..."""
    detail = {"InstanceRefreshId": refresh_id, "AutoScalingGroupName": group.name}
    emit(region, f"EC2 Auto Scaling Instance Refresh {what}", [group.arn], detail, now)


def test_notification(region: Region, group: Group, topic_arn: str, now: datetime) -> None:
    """What AWS sends when notifications are set up."""
    message = {"Event": "autoscaling:TEST_NOTIFICATION", "AutoScalingGroupName": group.name, "Time": stamp(now)}
    _try_publish(region, topic_arn, f"Auto Scaling: test notification for group {group.name}", message)


def instance_arn(region: Region, instance_id: str) -> str:
    return f"arn:{region.partition}:ec2:{region.name}:{region.account}:instance/{instance_id}"


def _notify(region: Region, group: Group, kind: str, detail: Json, now: datetime) -> None:
    for topic_arn, kinds in group.notifications.items():
        if kind in kinds:
            message = detail | {"Event": kind, "Service": "AWS Auto Scaling", "Time": stamp(now)}
            _try_publish(region, topic_arn, f"Auto Scaling: {kind} for group {group.name}", message)


def _try_publish(region: Region, topic_arn: str, subject: str, message: Json) -> None:
    try:
        publish(region, topic_arn, subject, message)
    except Exception as error:
        log.warning("notification %r did not reach %s: %s", subject, topic_arn, error)
