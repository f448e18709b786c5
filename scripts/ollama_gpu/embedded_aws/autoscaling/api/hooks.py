"""Lifecycle hooks and the answers to their actions."""

from __future__ import annotations

from ollama_gpu.embedded_aws.autoscaling import lifecycle
from ollama_gpu.embedded_aws.autoscaling.errors import ValidationError
from ollama_gpu.embedded_aws.autoscaling.group import Group, Json

from .request import Handler, Request


def put_all(group: Group, specifications: list[Json]) -> None:
    """The hooks that a group is created with."""
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
                # by DeleteLifecycleHook's page: a launch is given up, a termination goes on
                launching = action.hook.transition == lifecycle.LAUNCHING
                action.complete(lifecycle.ABANDON if launching else lifecycle.CONTINUE, "Lifecycle Hook Deleted")


def complete_lifecycle_action(request: Request) -> None:
    result = request.given["LifecycleActionResult"]
    if result not in (lifecycle.CONTINUE, lifecycle.ABANDON):
        raise ValidationError(f"Invalid lifecycle action result {result}; valid are CONTINUE, ABANDON.")
    _action(request).complete(result, f"Lifecycle Action Completed with {result} Result")


def record_lifecycle_action_heartbeat(request: Request) -> None:
    _action(request).heartbeat(request.now)


def _action(request: Request) -> lifecycle.LifecycleAction:
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
