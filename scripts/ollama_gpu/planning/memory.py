"""Whether a model fits the GPUs of an instance type; ollama_gpu.models.memory calculates the sum."""

from __future__ import annotations

from dataclasses import replace

from ollama_gpu.catalogue import instance_types
from ollama_gpu.catalogue.instance_types import InstanceType
from ollama_gpu.core.errors import UserError
from ollama_gpu.models.memory import Need, Serving, explain, need
from ollama_gpu.planning.host import Host
from ollama_gpu.planning.models import Model

_MOST_SLOTS = 64


def fit(model: Model, host: Host, kind: InstanceType) -> Need:
    """Return the memory that the model needs on each GPU. Raises UserError (status 1) if a GPU has less."""
    needed = _need(model, host)
    if needed.total <= kind.gpus.memory_bytes:
        return needed
    sum_in_words = explain([needed], Serving(host.slots, host.context, host.kv_cache_type))
    fewer = most_slots(model, host, kind)
    fitting = sorted(
        {each.gpus.name for each in instance_types.every().values() if needed.total <= each.gpus.memory_bytes}
    )
    remedies = [f"at most {fewer} slots (--slots)"] if fewer else []
    remedies += [f"a type with {' or '.join(fitting)}"] if fitting else []
    remedies += ["a shorter context (--context)", "a smaller model (--model)"]
    raise UserError(
        f"{model.name} does not fit: one Ollama serves one GPU, and each {kind.gpus.name} of {kind.name} has "
        f"{kind.gpus.memory_mib / 1024:.2f} GiB. {sum_in_words}.",
        f"Use {', '.join(remedies[:-1])} or {remedies[-1]}.",
    )


def most_slots(model: Model, host: Host, kind: InstanceType) -> int:
    """Return how many slots of the host's context fit on one GPU; 0 if none does."""
    fitting = 0
    for slots in range(1, _MOST_SLOTS + 1):
        if _need(model, replace(host, slots=slots)).total > kind.gpus.memory_bytes:
            break
        fitting = slots
    return fitting


def _need(model: Model, host: Host) -> Need:
    return need(model.shape, Serving(host.slots, host.context, host.kv_cache_type))
