"""Tags of groups: create or update, delete, describe."""

from __future__ import annotations

from typing import Any

from ollama_gpu.local.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.local.embedded_aws.autoscaling.model import Group, Json

from .request import Handler, Request


def put(group: Group, tags: list[Json]) -> None:
    """Add tags, or replace those with the same key."""
    for tag in tags:
        kept = {
            "ResourceId": group.name,
            "ResourceType": "auto-scaling-group",
            "Key": tag["Key"],
            "Value": tag.get("Value") or "",
            "PropagateAtLaunch": bool(tag.get("PropagateAtLaunch")),
        }
        group.tags = [other for other in group.tags if other["Key"] != tag["Key"]] + [kept]


def create_or_update_tags(request: Request) -> None:
    for tag in request.given.get("Tags") or []:
        put(_group(request, tag), [tag])


def delete_tags(request: Request) -> None:
    for tag in request.given.get("Tags") or []:
        group = _group(request, tag)
        group.tags = [other for other in group.tags if other["Key"] != tag["Key"]]


def describe_tags(request: Request) -> Json:
    tags = [tag for group in request.region.groups.values() for tag in group.tags]
    for condition in request.given.get("Filters") or []:
        values = condition.get("Values") or []
        tags = [tag for tag in tags if _value(tag, condition["Name"]) in values]
    page, token = request.page(tags, 50)
    return {"Tags": page, "NextToken": token}


def _group(request: Request, tag: Json) -> Group:
    group = request.region.groups.get(tag.get("ResourceId") or "")
    if group is None:
        raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{tag.get('ResourceId')}' not found")
    return group


def _value(tag: Json, filter_name: str) -> Any:
    return {
        "auto-scaling-group": tag["ResourceId"],
        "key": tag["Key"],
        "value": tag["Value"],
        "propagate-at-launch": str(tag["PropagateAtLaunch"]).lower(),
    }.get(filter_name)


HANDLERS: tuple[Handler, ...] = (create_or_update_tags, delete_tags, describe_tags)
