"""The status on one screen: what is read as a value becomes tables of a few columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ollama_gpu.console import Table

NO_DATA = "-"


def tables(seen: dict[str, Any], trouble: str = "") -> list[Table]:
    """The tables of ``status.read``'s value: the environment, its fleets, its instances, the alarms that ring.

    ``trouble`` is why nothing newer could be read.
    """
    fleets: dict[str, dict[str, Any]] = seen["fleets"]
    return [
        _environment(seen, trouble),
        Table("fleets", _FLEET, [_fleet(name, fleet) for name, fleet in fleets.items()]),
        Table("instances", _INSTANCE, [_instance(name, each) for name in fleets for each in fleets[name]["instances"]]),
        Table("alarms that ring", _ALARM, [_alarm(each) for each in seen["alarms"]["ringing"]]),
    ]


def boot_line(steps: Sequence[dict[str, Any]]) -> str:
    """An instance's boot in a line: its steps that took a second or more, those that go on, and what failed."""
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
_INSTANCE = ("instance", "fleet", "type, zone", "state", "slots", "queued", "GPUs", "model on GPU", "boot")
_ALARM = ("alarm", "since", "why", "runbook")


def _environment(seen: dict[str, Any], trouble: str) -> Table:
    states = seen["alarms"]["states"]
    rows = [
        *([("not read since", trouble)] if trouble else []),
        ("front door", seen["url"]),
        ("release", seen["release"]),
        ("models", _models(seen)),
        ("alarms", ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"),
        ("last activity", "; ".join(_activities(seen)) or NO_DATA),
    ]
    where = "embedded AWS" if seen["endpoint"] else seen["region"]
    return Table(f"ENV={seen['environment']} ({where}) at {seen['time']}", ("what", "seen"), rows)


def _models(seen: dict[str, Any]) -> str:
    """What is served, by how many instances where they differ; and who cannot follow."""
    instances = [each for fleet in seen["fleets"].values() for each in fleet["instances"]]
    sets = Counter(", ".join(each["models"]["serves"]) or "nothing told yet" for each in instances)
    parts = [f"{names} ({count} of {len(instances)})" if len(sets) > 1 else names for names, count in sets.items()]
    failed = [
        f"{each['id']} cannot follow: {each['models']['failed']}" for each in instances if "failed" in each["models"]
    ]
    return "; ".join([*parts, *failed]) or NO_DATA


def _activities(seen: dict[str, Any]) -> list[str]:
    return [f"{name}: {fleet['last_activity']}" for name, fleet in seen["fleets"].items() if fleet.get("last_activity")]


def _fleet(name: str, fleet: dict[str, Any]) -> tuple[str, ...]:
    if fleet.get("missing"):
        return (name, f"the group {fleet['group']} is missing", *[""] * (len(_FLEET) - 2))
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
    on_gpu = {None: NO_DATA, 1.0: "yes", 0.0: "NO"}.get(load["model_on_gpu"], "in part of the last minute")
    return (
        instance["id"],
        fleet,
        f"{instance['type']}, {instance['zone']}",
        instance["state"] + health,
        _of(load["in_flight"], load["slots"]),
        _number(load["queued"]),
        _number(load["gpus"]),
        on_gpu,
        boot_line(instance["boot"]),
    )


def _alarm(alarm: dict[str, str]) -> tuple[str, ...]:
    return (alarm["what"], alarm["since"], alarm["reason"], alarm["runbook"])


def _number(value: float | None, unit: str = "") -> str:
    return NO_DATA if value is None else f"{value:.0f}{unit}"


def _of(part: float | None, whole: float | None) -> str:
    return NO_DATA if part is None else f"{part:.0f} of {_number(whole)}"


def _pair(first: float | None, second: float | None, unit: str) -> str:
    return NO_DATA if first is None else f"{first:.0f} / {_number(second, unit)}"
