"""Notification configurations: which events of a group go to which topic."""

from __future__ import annotations

from ollama_gpu.embedded_aws.autoscaling import events
from ollama_gpu.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.embedded_aws.autoscaling.group import Json

from .kinds import NOTIFICATION_TYPES
from .request import Handler, Request


def put_notification_configuration(request: Request) -> None:
    group, topic = request.group(), request.given["TopicARN"]
    kinds = list(request.given["NotificationTypes"])
    for kind in kinds:
        if kind not in NOTIFICATION_TYPES:
            raise ValidationError(f'"{kind}" is not a valid Notification Type')
    group.notifications[topic] = kinds
    events.test_notification(request.region, group, topic, request.now)


def describe_notification_configurations(request: Request) -> Json:
    names = request.given.get("AutoScalingGroupNames")
    found = [
        {"AutoScalingGroupName": group.name, "TopicARN": topic, "NotificationType": kind}
        for group in request.region.groups.values()
        if not names or group.name in names
        for topic, kinds in group.notifications.items()
        for kind in kinds
    ]
    page, token = request.page(found, 50)
    return {"NotificationConfigurations": page, "NextToken": token}


def delete_notification_configuration(request: Request) -> None:
    request.group().notifications.pop(request.given["TopicARN"], None)


HANDLERS: tuple[Handler, ...] = (
    put_notification_configuration,
    describe_notification_configurations,
    delete_notification_configuration,
)
