"""Does a model fit the GPUs of a type with so many slots? The sum is ollama_gpu.model_memory's."""

from __future__ import annotations

from dataclasses import replace

from ollama_gpu import instance_types
from ollama_gpu.capacity.host import Host
from ollama_gpu.capacity.models import Model
from ollama_gpu.errors import UserError
from ollama_gpu.instance_types import InstanceType
from ollama_gpu.model_memory import Need, Serving, explain, need

_MOST_SLOTS = 64


def fit(model: Model, host: Host, kind: InstanceType) -> Need:
    """What the model takes on each GPU. Raises UserError (status 1) with the sum where a GPU has less."""
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
    """How many slots of the host's context one GPU has room for; 0 where not even one fits."""
    fitting = 0
    for slots in range(1, _MOST_SLOTS + 1):
        if _need(model, replace(host, slots=slots)).total > kind.gpus.memory_bytes:
            break
        fitting = slots
    return fitting


def _need(model: Model, host: Host) -> Need:
    return need(model.shape, Serving(host.slots, host.context, host.kv_cache_type))
