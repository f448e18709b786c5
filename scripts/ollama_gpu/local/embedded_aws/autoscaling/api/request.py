"""The request that every operation takes, with the checks that they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ollama_gpu.local.embedded_aws.autoscaling.errors import ApiError, ValidationError
from ollama_gpu.local.embedded_aws.autoscaling.model import Group, Json, Member
from ollama_gpu.local.embedded_aws.autoscaling.region import Region


class InvalidNextToken(ApiError):
    code = "InvalidNextToken"
    message = "The NextToken value is not valid."


@dataclass(frozen=True)
class Request:
    """A request at a region and time. ``given`` holds the parsed parameters by their API names."""

    region: Region
    given: Json
    now: datetime

    @property
    def group_name(self) -> str:
        return str(self.given["AutoScalingGroupName"])

    def group(self) -> Group:
        """Return the group that the request names. Raises ValidationError if it does not exist."""
        found = self.region.groups.get(self.group_name)
        if found is None:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{self.group_name}' not found")
        return found

    def members(self, group: Group) -> list[Member]:
        """Return the instances that the request names. Raises ValidationError if one is not part of the group."""
        members = []
        for instance_id in self.given.get("InstanceIds") or []:
            member = group.member(instance_id)
            if member is None or member.terminating:
                raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
            members.append(member)
        return members

    def member(self) -> tuple[Group, Member]:
        """Return the instance that the request names, and its group. Raises ValidationError if no group has it."""
        instance_id = self.given["InstanceId"]
        found = self.region.member(instance_id)
        if found is None:
            raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
        return found

    def page(self, items: Sequence[Any], size: int) -> tuple[list[Any], str | None]:
        """Return the page that NextToken and MaxRecords select, and the token of the next page."""
        try:
            first = int(self.given.get("NextToken") or 0)
        except ValueError as error:
            raise InvalidNextToken from error
        end = first + int(self.given.get("MaxRecords") or size)
        return list(items[first:end]), str(end) if end < len(items) else None


Handler = Callable[[Request], Json | None]
