"""Lifecycle hooks: put, describe, delete, and complete their actions."""

from __future__ import annotations

from ollama_gpu.local.embedded_aws.autoscaling import lifecycle
from ollama_gpu.local.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.local.embedded_aws.autoscaling.model import ABANDON, CONTINUE, Group, Json, LifecycleAction

from .request import Handler, Request


def put_all(group: Group, specifications: list[Json]) -> None:
    """Put the hooks that a request to create a group contains."""
    for specification in specifications:
        lifecycle.put_hook(group, specification["LifecycleHookName"], specification)


def put_lifecycle_hook(request: Request) -> None:
    lifecycle.put_hook(request.group(), request.given["LifecycleHookName"], request.given)


def describe_lifecycle_hooks(request: Request) -> Json:
    names = request.given.get("LifecycleHookNames")
    hooks = request.group().hooks.values()
    return {"LifecycleHooks": [hook.describe() for hook in hooks if not names or hook.name in names]}


def delete_lifecycle_hook(request: Request) -> None:
    group, name = request.group(), request.given["LifecycleHookName"]
    if group.hooks.pop(name, None) is None:
        raise ValidationError(f"No Lifecycle Hook found with name {name} for Auto Scaling group {group.name}")
    for member in group.members:
        for action in member.actions:
            if action.hook.name == name and action.result is None:
                # AWS abandons a launch and continues a termination. Follows: DeleteLifecycleHook
                launching = action.hook.transition == lifecycle.LAUNCHING
                action.complete(ABANDON if launching else CONTINUE, "Lifecycle Hook Deleted")


def complete_lifecycle_action(request: Request) -> None:
    result = request.given["LifecycleActionResult"]
    if result not in (CONTINUE, ABANDON):
        raise ValidationError(f"Invalid lifecycle action result {result}; valid are CONTINUE, ABANDON.")
    _action(request).complete(result, f"Lifecycle Action Completed with {result} Result")


def record_lifecycle_action_heartbeat(request: Request) -> None:
    _action(request).heartbeat(request.now)


def _action(request: Request) -> LifecycleAction:
    given = request.given
    return lifecycle.find_action(
        request.group(), given["LifecycleHookName"], given.get("InstanceId"), given.get("LifecycleActionToken")
    )


HANDLERS: tuple[Handler, ...] = (
    put_lifecycle_hook,
    describe_lifecycle_hooks,
    delete_lifecycle_hook,
    complete_lifecycle_action,
    record_lifecycle_action_heartbeat,
)
