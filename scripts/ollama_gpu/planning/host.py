"""The serving settings of an environment's instances: slots, context, queue and processes.

They come from the roles' defaults and the inventory. The roles' expressions are rendered as Ansible renders them, so
that their rules are not repeated here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ollama_gpu.catalogue.instance_types import InstanceType
from ollama_gpu.core import collection
from ollama_gpu.core.paths import Paths
from ollama_gpu.environment import role_variables
from ollama_gpu.environment.settings import Environment

_ROLES = ("ollama", "gateway", "open_webui")
_MIB_A_GIB = 1024


@dataclass(frozen=True)
class Host:
    """One instance. ``slots`` and ``context`` (tokens) are per GPU; ``queue_limit`` is per instance."""

    gpus: int
    slots: int
    context: int
    kv_cache_type: str
    queue_limit: int
    queue_seconds: float
    processes: int
    connections_per_process: int

    @property
    def all_slots(self) -> int:
        return self.gpus * self.slots


def of(
    paths: Paths, environment: Environment, kind: InstanceType, slots: int | None = None, context: int | None = None
) -> Host:
    """Return the settings for an instance type; ``slots`` and ``context`` override the inventory and the roles."""
    given = _variables(paths) | role_variables.read(paths, environment)
    slots = slots or int(given["ollama_num_parallel"])
    given |= {
        "gateway_slots": slots,  # as in playbooks/host.yml of the collection
        "gateway_ollama_ports": list(range(kind.gpus.count)),
        "ansible_facts": {"processor_vcpus": kind.vcpus, "memtotal_mb": kind.memory_gib * _MIB_A_GIB},
    }
    return Host(
        gpus=kind.gpus.count,
        slots=slots,
        context=context or int(given["ollama_context_length"]),
        kv_cache_type=str(given["ollama_kv_cache_type"]),
        queue_limit=_number(given, "gateway_queue_limit"),
        queue_seconds=_number(given, "gateway_queue_seconds"),
        processes=_number(given, "_open_webui_processes"),
        connections_per_process=_number(given, "_open_webui_database_connections"),
    )


def _variables(paths: Paths) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for role in _ROLES:
        folder = collection.role(paths.repository, role)
        for part in ("defaults", "vars"):
            merged |= role_variables.load(folder / part / "main.yml") or {}
    return merged


def _number(variables: dict[str, Any], name: str) -> int:
    from jinja2 import Environment as Jinja
    from jinja2 import StrictUndefined

    value = variables[name]
    if isinstance(value, str):
        value = Jinja(undefined=StrictUndefined, autoescape=True).from_string(value).render(variables)
    return int(value)
