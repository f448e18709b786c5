"""Does an environment do its main job, and as fast as it should? Rows for people, an exit status for scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from ollama_gpu import alarms, deploy, load, model_following, role_variables, serving
from ollama_gpu.alarms import Alarm
from ollama_gpu.chat import Chat
from ollama_gpu.checks import Check
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.load import InstanceLoad

CHATS = 3
"""One chat can fall into a model's loading or a neighbour's long prompt; the median of three tells of the service."""

LATENCY_ALARM = "interactive-first-token"
"""Its threshold is the goal: what the alarm rings above is what the service promises."""

_LOOK = "See `make status ENV={0}` and `make logs ENV={0} GROUP=boot`."


def run(context: Context, outputs: dict[str, Any]) -> list[Check]:
    """Rows about the fleets, chats at the front door, their first token, models, each instance's GPU, the alarms."""
    name = context.environment.name
    fleets = {fleet: serving.look(context, outputs, fleet) for fleet in outputs["fleets"]}
    rows = [_fleet(fleet, state, name) for fleet, state in fleets.items()]
    found = alarms.read(context)
    wants_gpu = _wants_gpu(context)
    sign_on = context.environment.variables.sign_on
    if sign_on and not sign_on.password_sign_in:
        seen = "password sign-in is switched off (sign_on.password_sign_in), and a program has no other"
        rows.append(Check("chat", "skipped", seen, f"Sign in with a browser: {outputs['url']}"))
        rows += _instances(context, outputs, wants_gpu)
    elif context.environment.embedded and context.instance_settings is None:
        rows.append(
            Check("chat", "skipped", "the fabric stands alone (LAB=off): nothing answers behind its front door")
        )
    else:
        rows += chats(_chat(context, outputs), _goal(found), without_gpu=not wants_gpu, name=name)
        rows += _instances(context, outputs, wants_gpu)
    return [*rows, ringing(found, without_gpu=not wants_gpu)]


def chats(tried: Sequence[Chat] | UserError, goal_ms: float, without_gpu: bool, name: str) -> list[Check]:
    """The rows about the chats that were tried: did they go well, and was the median first token in time?

    ``goal_ms``: milliseconds. Without a GPU a slow one is a warning: the goal is a GPU's.
    """
    if isinstance(tried, UserError):
        return [Check("chat", "failed", tried.message, tried.remedy)]
    first = tried[0]
    answer = " ".join(first.answer.split())[:60]
    times = [chat.first_token_ms for chat in tried]
    seen = (
        f"median {median(times):.0f} ms of {', '.join(f'{each:.0f}' for each in times)}; the goal is {goal_ms:.0f} ms"
    )
    rows = [Check("chat", "ok", f"{len(tried)} at {first.url}; {first.model}: {answer}")]
    if median(times) <= goal_ms:
        return [*rows, Check("first token", "ok", seen)]
    if without_gpu:
        return [
            *rows,
            Check("first token", "warning", f"{seen}, but there is no GPU here", "Nothing: it is a GPU's goal."),
        ]
    remedy = f"docs/operations.md#alarm-first-token tells where the time goes. {_LOOK.format(name)}"
    return [*rows, Check("first token", "failed", seen, remedy)]


def gpu(instance: str, seen: InstanceLoad, wanted: bool) -> Check:
    """The row about an instance's GPUs and whether its models lie wholly on them."""
    what = f"GPU of {instance}"
    if not wanted:
        return Check(
            what, "skipped", "this environment has no GPU (ollama_require_gpu: false): it answers from its CPUs"
        )
    if seen.gpus is None:
        remedy = "docs/operations.md#alarm-gpu-silent; an instance that has just come reports within two minutes."
        return Check(what, "failed", "no figure in the last five minutes", remedy)
    if seen.gpus < 1:
        return Check(what, "failed", "no GPU answers", "docs/operations.md#alarm-gpu-missing")
    if seen.model_on_gpu is None:
        return Check(
            what, "warning", f"{seen.gpus:.0f} GPUs; no model is loaded", "It is loaded by the next chat there."
        )
    if seen.model_on_gpu < 1:
        remedy = "docs/operations.md#alarm-model-on-cpu"
        return Check(what, "failed", f"{seen.gpus:.0f} GPUs, but a model lies on the CPU in part", remedy)
    return Check(what, "ok", f"{seen.gpus:.0f} GPUs, every loaded model wholly on them")


def ringing(found: Sequence[Alarm], without_gpu: bool) -> Check:
    """The row about the alarms: the composite one says that people are being failed, another one is a warning.

    Without a GPU the composite one rings for good, for a model on a CPU is one of its causes: there it is a warning.
    """
    rings = [alarm for alarm in found if alarm.state == "ALARM"]
    if not found:
        return Check("alarms", "warning", "there are none", "Deploy the environment: it makes them.")
    if not rings:
        return Check("alarms", "ok", f"{len(found)} watch, none rings")
    seen = ", ".join(f"{alarm.what} since {alarms.stamp(alarm.since)}" for alarm in rings)
    degraded = any(alarm.threshold is None for alarm in rings) and not without_gpu
    return Check("alarms", "failed" if degraded else "warning", seen, f"{rings[0].runbook} tells what to do.")


def _fleet(fleet: str, state: serving.FleetState, name: str) -> Check:
    seen = str(state).removeprefix(f"{fleet}: ")
    if state.serves:
        return Check(f"fleet {fleet}", "ok", seen)
    return Check(f"fleet {fleet}", "failed", "; ".join([seen, *state.failed[:1]]), _LOOK.format(name))


def _chat(context: Context, outputs: dict[str, Any]) -> list[Chat] | UserError:
    try:
        return [deploy.verify_chat(context, outputs) for _ in range(CHATS)]
    except UserError as error:
        return error


def _goal(found: Sequence[Alarm]) -> float:
    goal = next((alarm.threshold for alarm in found if alarm.what == LATENCY_ALARM), None)
    if goal is None:
        raise UserError(f"There is no alarm {LATENCY_ALARM}, which holds the goal.", "Deploy the environment.")
    return goal


def _wants_gpu(context: Context) -> bool:
    return bool(role_variables.read(context.paths, context.environment).get("ollama_require_gpu", True))


def _in_service(context: Context, groups: Mapping[str, str]) -> dict[str, list[str]]:
    answer = context.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=list(groups.values()))
    serving_now = {
        group["AutoScalingGroupName"]: [
            each["InstanceId"] for each in group["Instances"] if each["LifecycleState"] == "InService"
        ]
        for group in answer["AutoScalingGroups"]
    }
    return {name: serving_now.get(group, []) for name, group in groups.items()}


def _instances(context: Context, outputs: dict[str, Any], wants_gpu: bool) -> list[Check]:
    """Whether every instance in service has the published models, and those wholly on its GPUs."""
    groups = {name: fleet["group_name"] for name, fleet in outputs["fleets"].items()}
    members = _in_service(context, groups)
    everyone = [instance for fleet in members.values() for instance in fleet]
    seen = load.read(context, groups, members)
    rows = [gpu(instance, figures, wants_gpu) for instance, figures in seen.instances.items()]
    return [model_following.check(context, everyone), *rows]
