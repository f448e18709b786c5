"""What every operation gets, and the little that all need from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ollama_gpu.embedded_aws.autoscaling.errors import ApiError, ValidationError
from ollama_gpu.embedded_aws.autoscaling.group import Group, Json, Member
from ollama_gpu.embedded_aws.autoscaling.region import Region


class InvalidNextToken(ApiError):
    code = "InvalidNextToken"
    message = "The NextToken value is not valid."


@dataclass(frozen=True)
class Request:
    """A request: where, with what, and when. ``given`` holds the parameters, typed, by their API names."""

    region: Region
    given: Json
    now: datetime

    @property
    def group_name(self) -> str:
        return str(self.given["AutoScalingGroupName"])

    def group(self) -> Group:
        """The group that the request names. Raises ValidationError if there is none."""
        found = self.region.groups.get(self.group_name)
        if found is None:
            raise ValidationError(f"AutoScalingGroup name not found - AutoScalingGroup '{self.group_name}' not found")
        return found

    def members(self, group: Group) -> list[Member]:
        """The instances that the request names. Raises ValidationError for one that the group has not."""
        members = []
        for instance_id in self.given.get("InstanceIds") or []:
            member = group.member(instance_id)
            if member is None or member.terminating:
                raise ValidationError(f"The instance {instance_id} is not part of Auto Scaling group {group.name}.")
            members.append(member)
        return members

    def member(self) -> tuple[Group, Member]:
        """The instance that the request names, and its group. Raises ValidationError if no group has it."""
        instance_id = self.given["InstanceId"]
        found = self.region.member(instance_id)
        if found is None:
            raise ValidationError(f"Instance Id not found - No managed instance found for instance ID: {instance_id}")
        return found

    def page(self, items: Sequence[Any], size: int) -> tuple[list[Any], str | None]:
        """The page that NextToken and MaxRecords ask for, and the token of the one after it."""
        try:
            first = int(self.given.get("NextToken") or 0)
        except ValueError as error:
            raise InvalidNextToken from error
        end = first + int(self.given.get("MaxRecords") or size)
        return list(items[first:end]), str(end) if end < len(items) else None


Handler = Callable[[Request], Json | None]
