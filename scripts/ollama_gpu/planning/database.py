"""The database connections that an environment's instances open at most, and those that its instance class takes."""

from __future__ import annotations

import math

import yaml

from ollama_gpu.catalogue import instance_types
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment.settings import Environment
from ollama_gpu.planning import host

_ROLLOUT = (
    1.1  # an instance refresh starts new instances before it ends old ones: max_healthy_percentage in modules/fleet
)


def needed(paths: Paths, environment: Environment) -> int:
    """Return the most connections: every fleet at max_size on its largest type, in a rollout, with full pools.

    Types that are not in the catalogue (`unknown`) are not counted.
    """
    known, total = instance_types.every(), 0
    for fleet in environment.fleets.values():
        hosts = [host.of(paths, environment, known[kind]) for kind in fleet.instance_types if kind in known]
        each = max((one.processes * one.connections_per_process for one in hosts), default=0)
        total += math.ceil(round(_ROLLOUT * fleet.max_size, 6)) * each
    return total


def unknown(environment: Environment) -> list[str]:
    """Return the instance types of the fleets that are not in the catalogue."""
    used = {kind for fleet in environment.fleets.values() for kind in fleet.instance_types}
    return sorted(used - instance_types.every().keys())


def limit(paths: Paths, instance_class: str) -> int | None:
    """Return the connections that an instance class takes at least. None if the class is not in the table."""
    table: dict[str, int] = yaml.safe_load((paths.terraform / "database_classes.yaml").read_text(encoding="utf-8"))
    return table.get(instance_class)
