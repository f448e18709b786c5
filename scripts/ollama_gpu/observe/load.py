"""The current load of an environment, from the metrics that its instances report once a minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ollama_gpu.environment.context import Context
from ollama_gpu.observe import figures
from ollama_gpu.observe.figures import MetricQuery, fleet_query, instance_query

LATENCY_SECONDS = 300
"""The period of the percentiles, the same as in the alarm on the first token."""

_INSTANCE = {
    "in_flight": "InFlight",
    "queued": "Queued",
    "slots": "Slots",
    "gpus": "GpuCount",
    "gpu_errors": "GpuErrors",
    "model_on_gpu": "ModelOnGpu",
}
_FLEET = {
    "gpu_utilization_percent": ("nvidia_smi_utilization_gpu", "Average"),
    "gpu_memory_used": ("nvidia_smi_memory_used", "Maximum"),
    "gpu_memory_total": ("nvidia_smi_memory_total", "Maximum"),
    "gpu_temperature_celsius": ("nvidia_smi_temperature_gpu", "Maximum"),
}
_LATENCY = {
    "first_token_p50_ms": ("TimeToFirstToken", "p50"),
    "first_token_p95_ms": ("TimeToFirstToken", "p95"),
    "requests": ("Requests", "Sum"),
    "rejected": ("Rejected", "Sum"),
}


@dataclass(frozen=True)
class InstanceLoad:
    """The load of one instance. A value is None if it was not reported in the last five minutes.

    ``model_on_gpu`` is 1 if all loaded models are entirely on a GPU, 0 if one is not, None if no model is loaded.
    """

    in_flight: float | None
    queued: float | None
    slots: float | None
    gpus: float | None
    gpu_errors: float | None
    model_on_gpu: float | None

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True)
class FleetLoad:
    """The load of a fleet: sums over its instances, GPU metrics as in the alarms, latencies of the last five minutes.

    ``inference_load_percent`` is 100 * (in flight + queued) / slots, the metric that the fleet scales on. None means
    no data.
    """

    inference_load_percent: float | None
    in_flight: float | None
    queued: float | None
    slots: float | None
    gpu_utilization_percent: float | None
    gpu_memory_percent: float | None
    gpu_temperature_celsius: float | None
    first_token_p50_ms: float | None
    first_token_p95_ms: float | None
    requests: float | None
    rejected: float | None

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True)
class Load:
    """The load by fleet name and by instance id."""

    fleets: dict[str, FleetLoad]
    instances: dict[str, InstanceLoad]


def read(context: Context, groups: Mapping[str, str], members: Mapping[str, Sequence[str]]) -> Load:
    """Read the load. ``groups`` are Auto Scaling groups and ``members`` instance ids, both by fleet name."""
    queries: dict[tuple[str, str], MetricQuery] = {}
    for fleet, group in groups.items():
        queries |= {(fleet, key): fleet_query(metric, stat, group) for key, (metric, stat) in _FLEET.items()}
        for instance in members[fleet]:
            queries |= {(instance, key): instance_query(metric, group, instance) for key, metric in _INSTANCE.items()}
    seen = figures.newest(context, queries)
    latencies = {
        (fleet, key): fleet_query(metric, stat, group)
        for fleet, group in groups.items()
        for key, (metric, stat) in _LATENCY.items()
    }
    seen |= figures.newest(context, latencies, LATENCY_SECONDS, 2 * LATENCY_SECONDS)
    instances = {
        instance: InstanceLoad(**{key: seen.get((instance, key)) for key in _INSTANCE})
        for fleet in groups
        for instance in members[fleet]
    }
    return Load(
        {fleet: _fleet(fleet, [instances[each] for each in members[fleet]], seen) for fleet in groups}, instances
    )


def _fleet(name: str, instances: Sequence[InstanceLoad], seen: Mapping[tuple[str, str], float]) -> FleetLoad:
    in_flight = _sum(each.in_flight for each in instances)
    queued = _sum(each.queued for each in instances)
    slots = _sum(each.slots for each in instances)
    figure = {key: seen.get((name, key)) for key in (*_FLEET, *_LATENCY)}
    used, total = figure.pop("gpu_memory_used"), figure.pop("gpu_memory_total")
    load = 100 * (in_flight + (queued or 0)) / slots if in_flight is not None and slots else None
    memory = 100 * used / total if used is not None and total else None
    return FleetLoad(load, in_flight, queued, slots, gpu_memory_percent=memory, **figure)


def _sum(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
