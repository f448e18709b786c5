"""The tables of `ollama-gpu status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ollama_gpu.core.console import Table

NO_DATA = "-"


def tables(seen: dict[str, Any], trouble: str = "") -> list[Table]:
    """Return the tables for the value of ``status.read``: environment, fleets, instances, firing alarms.

    ``trouble`` is the reason why the last refresh failed.
    """
    fleets: dict[str, dict[str, Any]] = seen["fleets"]
    return [
        _environment(seen, trouble),
        Table("fleets", _FLEET, [_fleet(name, fleet) for name, fleet in fleets.items()]),
        Table("instances", _INSTANCE, [_instance(name, each) for name in fleets for each in fleets[name]["instances"]]),
        Table("firing alarms", _ALARM, [_alarm(each) for each in seen["alarms"]["ringing"]]),
    ]


def boot_line(steps: Sequence[dict[str, Any]]) -> str:
    """Summarize a boot in one line: steps of a second or longer, running steps, and the failed step."""
    parts = []
    for step in steps:
        if step["result"] == "failed":
            parts.append(f"{step['step']} FAILED: {step.get('cause', 'no cause given')}")
        elif step["result"] == "started":
            parts.append(f"{step['step']} ...")
        elif step["seconds"] >= 1:
            parts.append(f"{step['step']} {step['seconds']:.0f} s")
    return ", ".join(parts) or NO_DATA


_FLEET = (
    "fleet",
    "instances",
    "targets",
    "load",
    "slots",
    "queued",
    "first token p50/p95",
    "rejected",
    "GPU",
    "memory",
)
_INSTANCE = ("instance", "fleet", "type, zone", "state", "slots", "queued", "GPUs", "model on GPU", "models", "boot")
_ALARM = ("alarm", "since", "reason", "runbook")


def _environment(seen: dict[str, Any], trouble: str) -> Table:
    states = seen["alarms"]["states"]
    rows = [
        *([("refresh failed", trouble)] if trouble else []),
        ("front door", seen["url"]),
        ("release", _release(seen["last_release"], seen["release"])),
        *([("rollout", "; ".join(seen["rollouts"]))] if seen["rollouts"] else []),
        ("cost per hour", _cost(seen["cost_an_hour"])),
        ("alarms", ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"),
        ("last activity", "; ".join(_activities(seen)) or NO_DATA),
    ]
    where = "embedded AWS" if seen["endpoint"] else seen["region"]
    return Table(f"ENV={seen['environment']} ({where}) at {seen['time']}", ("field", "value"), rows)


def _release(last: dict[str, Any] | None, applied: str) -> str:
    if last is None:
        return f"{applied}, not recorded"
    ended = f", {last['ended'][:19]}Z" if last["ended"] else ""
    cause = f": {last['cause'].splitlines()[0]}" if last["cause"] else ""
    return f"{last['number']} ({last['release']}) {last['outcome']}{cause}, by {last['by']}{ended}"


def _cost(cost: dict[str, Any]) -> str:
    if cost["usd"] is None:
        return str(cost["unknown"])
    return (
        f"{cost['usd']:.2f} USD for {cost['instances']} instances only "
        f"(prices of {cost['prices_of']}; total: make cost)"
    )


def _activities(seen: dict[str, Any]) -> list[str]:
    return [f"{name}: {fleet['last_activity']}" for name, fleet in seen["fleets"].items() if fleet.get("last_activity")]


def _fleet(name: str, fleet: dict[str, Any]) -> tuple[str, ...]:
    if fleet.get("missing"):
        return (name, f"Auto Scaling group {fleet['group']} not found", *[""] * (len(_FLEET) - 2))
    load = fleet["load"]
    return (
        name,
        f"{len(fleet['instances'])} of {fleet['desired']} ({fleet['min']} to {fleet['max']})",
        ", ".join(f"{count} {state}" for state, count in sorted(fleet["targets"].items())) or "none",
        _number(load["inference_load_percent"], " %"),
        _of(load["in_flight"], load["slots"]),
        _number(load["queued"]),
        _pair(load["first_token_p50_ms"], load["first_token_p95_ms"], " ms"),
        _number(load["rejected"]),
        _number(load["gpu_utilization_percent"], " %"),
        _number(load["gpu_memory_percent"], " %"),
    )


def _instance(fleet: str, instance: dict[str, Any]) -> tuple[str, ...]:
    load = instance["load"]
    health = "" if instance["health"] == "Healthy" else f", {instance['health']}"
    on_gpu = {None: NO_DATA, 1.0: "yes", 0.0: "NO"}.get(load["model_on_gpu"], "for part of the last minute")
    return (
        instance["id"],
        fleet,
        f"{instance['type']}, {instance['zone']}",
        instance["state"] + health,
        _of(load["in_flight"], load["slots"]),
        _number(load["queued"]),
        _number(load["gpus"]),
        on_gpu,
        _models(instance["models"]),
        boot_line(instance["boot"]),
    )


def _models(models: dict[str, Any]) -> str:
    failed = f"; cannot follow: {models['failed']}" if models.get("failed") else ""
    return (", ".join(models["serves"]) or NO_DATA) + failed


def _alarm(alarm: dict[str, str]) -> tuple[str, ...]:
    return (alarm["what"], alarm["since"], alarm["reason"], alarm["runbook"])


def _number(value: float | None, unit: str = "") -> str:
    return NO_DATA if value is None else f"{value:.0f}{unit}"


def _of(part: float | None, whole: float | None) -> str:
    return NO_DATA if part is None else f"{part:.0f} of {_number(whole)}"


def _pair(first: float | None, second: float | None, unit: str) -> str:
    return NO_DATA if first is None else f"{first:.0f} / {_number(second, unit)}"
