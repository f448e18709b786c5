"""Lifecycle hooks: an instance waits until its action is completed or the heartbeat runs out."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from . import events
from .errors import ValidationError
from .group import Group, Json, Member
from .region import Region
from .settings import settings

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"

CONTINUE = "CONTINUE"
ABANDON = "ABANDON"

# The smaller of the two holds, says the page of PutLifecycleHook.
_GLOBAL_TIMEOUT_SECONDS = 172800
_GLOBAL_TIMEOUT_HEARTBEATS = 100


@dataclass
class LifecycleHook:
    """A hook of a group. ``heartbeat_timeout`` is in seconds."""

    name: str
    group: str
    transition: str
    heartbeat_timeout: int = 3600
    default_result: str = ABANDON
    role_arn: str | None = None
    notification_target_arn: str | None = None
    notification_metadata: str | None = None

    @property
    def global_timeout(self) -> int:
        return min(_GLOBAL_TIMEOUT_HEARTBEATS * self.heartbeat_timeout, _GLOBAL_TIMEOUT_SECONDS)

    def describe(self) -> Json:
        return {
            "LifecycleHookName": self.name,
            "AutoScalingGroupName": self.group,
            "LifecycleTransition": self.transition,
            "HeartbeatTimeout": self.heartbeat_timeout,
            "GlobalTimeout": self.global_timeout,
            "DefaultResult": self.default_result,
            "RoleARN": self.role_arn,
            "NotificationTargetARN": self.notification_target_arn,
            "NotificationMetadata": self.notification_metadata,
        }


@dataclass
class LifecycleAction:
    """One hook's action for one instance."""

    hook: LifecycleHook
    deadline: datetime
    latest: datetime
    result: str | None = None
    why: str = ""
    token: str = field(default_factory=lambda: str(uuid.uuid4()))

    def complete(self, result: str, why: str) -> None:
        self.result, self.why = result, why

    def heartbeat(self, now: datetime) -> None:
        self.deadline = min(now + timedelta(seconds=self.hook.heartbeat_timeout), self.latest)


def put_hook(group: Group, name: str, given: Json) -> LifecycleHook:
    """Create or change a hook; what the request leaves out stays as it was."""
    existing = group.hooks.get(name)
    transition = given.get("LifecycleTransition") or (existing.transition if existing else None)
    if transition not in (LAUNCHING, TERMINATING):
        raise ValidationError(f"Invalid lifecycle transition {transition}; valid are {LAUNCHING}, {TERMINATING}.")
    hook = existing or LifecycleHook(name, group.name, transition)
    result = given.get("DefaultResult") or hook.default_result
    if result not in (CONTINUE, ABANDON):
        raise ValidationError(f"Invalid lifecycle default result {result}; valid are {CONTINUE}, {ABANDON}.")
    hook.transition = transition
    hook.default_result = result
    hook.heartbeat_timeout = int(given.get("HeartbeatTimeout") or hook.heartbeat_timeout)
    hook.role_arn = given.get("RoleARN", hook.role_arn)
    # an empty string takes the target away
    hook.notification_target_arn = given.get("NotificationTargetARN", hook.notification_target_arn) or None
    hook.notification_metadata = given.get("NotificationMetadata", hook.notification_metadata)
    group.hooks[name] = hook
    return hook


def begin(region: Region, group: Group, member: Member, transition: str, now: datetime) -> bool:
    """Start the actions of a transition and say whether the instance has to wait."""
    kind = "launch" if transition == LAUNCHING else "terminate"
    member.actions = []
    for hook in group.hooks.values():
        if hook.transition == transition:
            deadline = now + timedelta(seconds=hook.heartbeat_timeout)
            action = LifecycleAction(hook, deadline, now + timedelta(seconds=hook.global_timeout))
            member.actions.append(action)
            events.lifecycle_event(region, group, member, hook, action.token, kind, now)
    return bool(member.actions)


def settle(member: Member, now: datetime) -> LifecycleAction | None:
    """Answer for absent instances, let heartbeats expire, and return the action that was abandoned, if any."""
    for action in member.actions:
        if action.result is None and settings.answer_lifecycle_actions:
            action.complete(CONTINUE, "Completed by the emulator: no instance is attached")
        elif action.result is None and now >= action.deadline:
            action.complete(action.hook.default_result, "Heartbeat Timeout")
    return next((action for action in member.actions if action.result == ABANDON), None)


def waits(member: Member) -> bool:
    return any(action.result is None for action in member.actions)


def find_action(group: Group, hook_name: str, instance_id: str | None, token: str | None) -> LifecycleAction:
    """The open action that a request means, by token or instance. Raises ValidationError if there is none."""
    for member in group.members:
        for action in member.actions:
            meant = action.token == token if token else member.id == instance_id
            if meant and action.hook.name == hook_name and action.result is None:
                return action
    which = f"token {token}" if token else f"instance ID {instance_id}"
    raise ValidationError(f"No active Lifecycle Action found with {which}")
