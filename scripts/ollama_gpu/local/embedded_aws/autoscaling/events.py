"""EventBridge events of Auto Scaling, delivered to the targets of the matching rules.

moto matches event patterns and delivers to log groups and queues, but it skips a whole rule if it does not support
the type of one target. So this module delivers to each target separately, and to SNS topics itself.
Follows: Amazon EC2 Auto Scaling User Guide, "Amazon EC2 Auto Scaling event reference".
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

from .model import Activity, Group, Json, LifecycleHook, Member
from .region import Region
from .timestamps import stamp

log = logging.getLogger(__name__)

SOURCE = "aws.autoscaling"


def emit(region: Region, detail_type: str, resources: list[str], detail: Json, now: datetime) -> None:
    """Put an event on the default bus. A failed delivery is logged and not retried."""
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
        # a schedule has an empty pattern, which moto matches with every event
        if rule.state != "ENABLED" or rule.scheduled_expression or not rule.event_pattern.matches_event(event):
            continue
        for target in rule.targets:
            try:
                _deliver(region, rule, target, copy.deepcopy(event))
            except Exception as error:
                log.warning("cannot deliver event %r to %s: %s", detail_type, target["Arn"], error)


def _deliver(region: Region, rule: Any, target: Json, event: Json) -> None:
    if ":sns:" in target["Arn"]:
        del event["ingestion-time"]
        event |= {"time": stamp(datetime.fromtimestamp(event["time"]).astimezone())}
        transformer = target.get("InputTransformer")
        _publish(region, target["Arn"], _transformed(transformer, event) if transformer else event)
        return
    alone = copy.copy(rule)
    # the ARN of a log group may end in `:*`, which moto would take as part of the name
    alone.targets = [target | {"Arn": target["Arn"].removesuffix(":*")}]
    alone.send_to_targets(event)


def _transformed(transformer: Json, event: Json) -> Any:
    """Apply the target's InputTransformer to an event. As in AWS, a path without a value becomes an empty string."""
    text = transformer["InputTemplate"]
    for name, path in transformer.get("InputPathsMap", {}).items():
        value: Any = event
        for key in path.removeprefix("$.").split("."):
            value = value.get(key, "") if isinstance(value, dict) else ""
        quoted = json.dumps(value)
        text = text.replace(f"<{name}>", quoted[1:-1] if isinstance(value, str) else quoted)
    return json.loads(text)


def _publish(region: Region, topic_arn: str, message: Any) -> None:
    """Publish a message to an SNS topic of any region."""
    backend = sns_backends[region.account][topic_arn.split(":")[3]]
    backend.publish(message=json.dumps(message), arn=topic_arn, subject=None)


def instance_event(
    region: Region, group: Group, instance_id: str, activity: Activity, kind: str, now: datetime
) -> None:
    """Emit the event of a finished launch or termination. ``kind`` is 'Launch' or 'Terminate'."""
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


def lifecycle_event(
    region: Region, group: Group, member: Member, hook: LifecycleHook, token: str, kind: str, now: datetime
) -> None:
    """Emit the event of an instance that waits for a hook. ``kind`` is 'launch' or 'terminate'."""
    detail = {
        "LifecycleActionToken": token,
        "AutoScalingGroupName": group.name,
        "LifecycleHookName": hook.name,
        "EC2InstanceId": member.id,
        "LifecycleTransition": hook.transition,
        "Origin": "EC2" if kind == "launch" else "AutoScalingGroup",
        "Destination": "AutoScalingGroup" if kind == "launch" else "EC2",
    }
    emit(region, f"EC2 Instance-{kind} Lifecycle Action", [group.arn], detail, now)


def refresh_event(region: Region, group: Group, refresh_id: str, what: str, now: datetime) -> None:
    """Emit an event of a refresh. ``what`` is 'Started', 'Succeeded', 'Rollback Started' and so on."""
    detail = {"InstanceRefreshId": refresh_id, "AutoScalingGroupName": group.name}
    emit(region, f"EC2 Auto Scaling Instance Refresh {what}", [group.arn], detail, now)


def instance_arn(region: Region, instance_id: str) -> str:
    return f"arn:{region.partition}:ec2:{region.name}:{region.account}:instance/{instance_id}"
