"""Checks that an environment serves, and that it answers fast enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from ollama_gpu.core.chat import Chat
from ollama_gpu.core.checks import Check
from ollama_gpu.core.errors import UserError
from ollama_gpu.deploy import front_door
from ollama_gpu.environment import role_variables
from ollama_gpu.environment.context import Context
from ollama_gpu.observe import alarms, load, model_following, serving
from ollama_gpu.observe.alarms import Alarm
from ollama_gpu.observe.load import InstanceLoad

CHATS = 3
"""A single chat can hit a model load or wait for another user's long prompt. The median of three is more reliable."""

LATENCY_ALARM = "interactive-first-token"
"""The threshold of this alarm is the latency target of `verify`."""

_DEPLOY = "Deploy the environment, which creates its alarms."
_DIAGNOSE = "See `make status ENV={0}` and `make logs ENV={0} GROUP=boot`."


def run(context: Context, outputs: dict[str, Any]) -> list[Check]:
    """Check the fleets, chats through the front door, first-token time, models, GPUs and alarms."""
    name = context.environment.name
    fleets = {fleet: serving.read_fleet(context, outputs, fleet) for fleet in outputs["fleets"]}
    rows = [_fleet(fleet, state, name) for fleet, state in fleets.items()]
    found = alarms.read(context)
    gpu_required = _requires_gpu(context)
    sign_on = context.environment.variables.sign_on
    if sign_on and not sign_on.password_sign_in:
        seen = "password sign-in is disabled (sign_on.password_sign_in), so a program cannot sign in"
        rows.append(Check("chat", "skipped", seen, f"Sign in with a browser: {outputs['url']}"))
        rows += _instances(context, outputs, gpu_required)
    elif context.environment.embedded and context.instance_settings is None:
        rows.append(Check("chat", "skipped", "deployed without the lab (LAB=off): no instance runs"))
    else:
        rows += chat_rows(_chat(context, outputs), _target(found), without_gpu=not gpu_required, name=name)
        rows += _instances(context, outputs, gpu_required)
    return [*rows, alarm_row(found, without_gpu=not gpu_required)]


def chat_rows(answers: Sequence[Chat] | UserError, target_ms: float, without_gpu: bool, name: str) -> list[Check]:
    """Return the rows for the chats and for their median time to the first token.

    ``target_ms`` applies to hosts with a GPU. Without a GPU, a slow first token is only a warning.
    """
    if isinstance(answers, UserError):
        return [Check("chat", "failed", answers.message, answers.remedy)]
    first = answers[0]
    answer = " ".join(first.answer.split())[:60]
    times = [chat.first_token_ms for chat in answers]
    seen = f"median {median(times):.0f} ms of {', '.join(f'{each:.0f}' for each in times)}; target {target_ms:.0f} ms"
    rows = [Check("chat", "ok", f"{len(answers)} at {first.url}; {first.model}: {answer}")]
    if median(times) <= target_ms:
        return [*rows, Check("first token", "ok", seen)]
    if without_gpu:
        remedy = "No action needed: the target applies to hosts with a GPU."
        return [*rows, Check("first token", "warning", f"{seen}; this environment has no GPU", remedy)]
    remedy = f"Find where the time goes with docs/operations.md#alarm-first-token. {_DIAGNOSE.format(name)}"
    return [*rows, Check("first token", "failed", seen, remedy)]


def gpu_row(instance: str, load: InstanceLoad, required: bool) -> Check:
    """Return the row for an instance's GPUs, and whether its models are entirely on them."""
    what = f"GPU of {instance}"
    if not required:
        return Check(what, "skipped", "this environment runs on CPUs, without a GPU (ollama_require_gpu: false)")
    if load.gpus is None:
        remedy = "See docs/operations.md#alarm-gpu-silent. A new instance reports within two minutes."
        return Check(what, "failed", "no GPU metric in the last five minutes", remedy)
    if load.gpus < 1:
        return Check(what, "failed", "no GPU found", "See docs/operations.md#alarm-gpu-missing.")
    if load.model_on_gpu is None:
        remedy = "No action needed: the next chat on this instance loads a model."
        return Check(what, "warning", f"{load.gpus:.0f} GPUs, no model is loaded", remedy)
    if load.model_on_gpu < 1:
        remedy = "See docs/operations.md#alarm-model-on-cpu."
        return Check(what, "failed", f"{load.gpus:.0f} GPUs, but a model is partly on the CPU", remedy)
    return Check(what, "ok", f"{load.gpus:.0f} GPUs, all loaded models are on the GPU")


def alarm_row(found: Sequence[Alarm], without_gpu: bool) -> Check:
    """Return the row for the alarms. The composite alarm (users are affected) fails the check, others are warnings.

    Without a GPU, the composite alarm is always in ALARM, because a model on a CPU is one of its causes. It is then
    a warning.
    """
    firing = [alarm for alarm in found if alarm.state == "ALARM"]
    if not found:
        return Check("alarms", "warning", "no alarms found", _DEPLOY)
    if not firing:
        return Check("alarms", "ok", f"{len(found)} alarms, none in ALARM")
    seen = ", ".join(f"{alarm.what} in ALARM since {alarms.timestamp(alarm.since)}" for alarm in firing)
    degraded = any(alarm.threshold is None for alarm in firing) and not without_gpu
    return Check("alarms", "failed" if degraded else "warning", seen, f"See {firing[0].runbook}.")


def _fleet(fleet: str, state: serving.FleetState, name: str) -> Check:
    seen = str(state).removeprefix(f"{fleet}: ")
    if state.serves:
        return Check(f"fleet {fleet}", "ok", seen)
    return Check(f"fleet {fleet}", "failed", "; ".join([seen, *state.failed[:1]]), _DIAGNOSE.format(name))


def _chat(context: Context, outputs: dict[str, Any]) -> list[Chat] | UserError:
    try:
        return [front_door.try_chat(context, outputs) for _ in range(CHATS)]
    except UserError as error:
        return error


def _target(found: Sequence[Alarm]) -> float:
    target = next((alarm.threshold for alarm in found if alarm.what == LATENCY_ALARM), None)
    if target is None:
        raise UserError(f"The alarm {LATENCY_ALARM}, which holds the latency target, does not exist.", _DEPLOY)
    return target


def _requires_gpu(context: Context) -> bool:
    return bool(role_variables.read(context.paths, context.environment).get("ollama_require_gpu", True))


def _in_service(context: Context, groups: Mapping[str, str]) -> dict[str, list[str]]:
    answer = context.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(groups.values()))
    in_service = {
        group["AutoScalingGroupName"]: [
            each["InstanceId"] for each in group["Instances"] if each["LifecycleState"] == "InService"
        ]
        for group in answer["AutoScalingGroups"]
    }
    return {name: in_service.get(group, []) for name, group in groups.items()}


def _instances(context: Context, outputs: dict[str, Any], gpu_required: bool) -> list[Check]:
    """Check that every instance in service serves the published models, entirely on its GPUs."""
    groups = {name: fleet["group_name"] for name, fleet in outputs["fleets"].items()}
    members = _in_service(context, groups)
    instances = [instance for fleet in members.values() for instance in fleet]
    loads = load.read(context, groups, members).instances
    rows = [gpu_row(instance, instance_load, gpu_required) for instance, instance_load in loads.items()]
    return [model_following.check(context, instances), *rows]
