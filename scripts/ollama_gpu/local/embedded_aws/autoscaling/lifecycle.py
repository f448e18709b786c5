"""Lifecycle hooks: an instance waits until its action is completed or its heartbeat times out."""

from __future__ import annotations

from datetime import datetime, timedelta

from . import events
from .errors import ValidationError
from .model import ABANDON, CONTINUE, Group, Json, LifecycleAction, LifecycleHook, Member
from .region import Region
from .settings import settings

LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TERMINATING = "autoscaling:EC2_INSTANCE_TERMINATING"
SHORTEST_HEARTBEAT, LONGEST_HEARTBEAT = 30, 7200
"""Seconds, from the API reference of PutLifecycleHook."""


def put_hook(group: Group, name: str, given: Json) -> LifecycleHook:
    """Create or update a hook. Parameters that the request omits keep their values."""
    existing = group.hooks.get(name)
    transition = given.get("LifecycleTransition") or (existing.transition if existing else None)
    if transition not in (LAUNCHING, TERMINATING):
        raise ValidationError(f"Invalid lifecycle transition {transition}; valid are {LAUNCHING}, {TERMINATING}.")
    hook = existing or LifecycleHook(name, group.name, transition)
    result = given.get("DefaultResult") or hook.default_result
    if result not in (CONTINUE, ABANDON):
        raise ValidationError(f"Invalid lifecycle default result {result}; valid are {CONTINUE}, {ABANDON}.")
    timeout = int(given.get("HeartbeatTimeout") or hook.heartbeat_timeout)
    if not SHORTEST_HEARTBEAT <= timeout <= LONGEST_HEARTBEAT:
        raise ValidationError(f"HeartbeatTimeout must be {SHORTEST_HEARTBEAT} to {LONGEST_HEARTBEAT} seconds.")
    hook.transition = transition
    hook.default_result = result
    hook.heartbeat_timeout = timeout
    group.hooks[name] = hook
    return hook


def begin(region: Region, group: Group, member: Member, transition: str, now: datetime) -> bool:
    """Start the actions of a transition. Returns whether there are any, so that the instance has to wait."""
    kind = "launch" if transition == LAUNCHING else "terminate"
    member.actions = []
    for hook in group.hooks.values():
        if hook.transition == transition:
            deadline = now + timedelta(seconds=hook.heartbeat_timeout)
            action = LifecycleAction(hook, deadline, now + timedelta(seconds=hook.global_timeout))
            member.actions.append(action)
            events.lifecycle_event(region, group, member, hook, action.token, kind, now)
    return bool(member.actions)


def resolve(member: Member, now: datetime) -> LifecycleAction | None:
    """Complete the actions that nothing else completes or that have timed out. Returns the abandoned action, if any."""
    for action in member.actions:
        if action.result is None and settings.answer_lifecycle_actions:
            action.complete(CONTINUE, "Completed by the emulator: no instance is attached")
        elif action.result is None and now >= action.deadline:
            action.complete(action.hook.default_result, "Heartbeat Timeout")
    return next((action for action in member.actions if action.result == ABANDON), None)


def waits(member: Member) -> bool:
    return any(action.result is None for action in member.actions)


def find_action(group: Group, hook_name: str, instance_id: str | None, token: str | None) -> LifecycleAction:
    """Find the open action that a request names by token or instance. Raises ValidationError if there is none."""
    for member in group.members:
        for action in member.actions:
            named = action.token == token if token else member.id == instance_id
            if named and action.hook.name == hook_name and action.result is None:
                return action
    which = f"token {token}" if token else f"instance ID {instance_id}"
    raise ValidationError(f"No active Lifecycle Action found with {which}")
