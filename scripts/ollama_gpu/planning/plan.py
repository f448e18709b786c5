"""Calculate instances from users: streams, slots, memory, processes, the deciding limit and the price.

The model is a closed loop in which each user thinks, asks and waits: `streams = users x answering / (thinking +
answering)`. GPUs are assumed at scaling's target load, not at full load, because that is how they will run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ollama_gpu.catalogue.instance_types import InstanceType
from ollama_gpu.models.memory import Need
from ollama_gpu.planning.demand import Demand
from ollama_gpu.planning.engine import Engine
from ollama_gpu.planning.host import Host
from ollama_gpu.planning.priors import Priors, between


@dataclass(frozen=True)
class Limits:
    """The fleet's limits in Terraform; percentages are the targets of the scaling policies."""

    min_size: int
    max_size: int
    cpu_percent: float
    inference_load_percent: float
    requests_per_target_per_minute: float

    @classmethod
    def of(cls, fleet: dict[str, Any]) -> Limits:
        """Read the limits from a fleet's value in Terraform (ollama_gpu.terraform.values)."""
        scaling = fleet["scaling"]
        return cls(
            fleet["min_size"],
            fleet["max_size"],
            scaling["cpu_percent"],
            scaling["inference_load_percent"],
            scaling["requests_per_target_per_minute"],
        )


@dataclass(frozen=True)
class Plan:
    """A capacity plan. Times in seconds, rates in tokens/s; ``needed`` is the number of instances by limit."""

    demand: Demand
    kind: InstanceType
    host: Host
    memory: Need
    slots_that_fit: int
    stream_rate: float
    prompt_seconds: float
    answer_seconds: float
    chats_per_second: float
    streams: float
    slots: int
    first_token_p50: float
    first_token_p95: float
    needed: dict[str, int]
    instances: int
    processes: int
    streams_per_process: float
    connections: int
    fits_max_size: bool
    load_with_one_lost: float

    @property
    def decided_by(self) -> str:
        return max(self.needed, key=lambda name: self.needed[name])


def make(
    demand: Demand,
    kind: InstanceType,
    host: Host,
    engine: Engine,
    memory: tuple[Need, int],
    limits: Limits,
    priors: Priors,
) -> Plan:
    """Plan for a demand. ``memory`` is the model's need and the number of slots that would fit."""
    share = limits.inference_load_percent / 100
    busy = max(1, round(host.slots * share))
    rate = engine.stream_rates[busy]
    prompt = demand.prompt_tokens / engine.prompt_rate
    # During one answer, each other stream of the GPU sends one prompt, which stalls the decoding.
    cycle = demand.answer_tokens / rate + prompt
    stalled = (busy - 1) * prompt * (1 - engine.stalled_rate / rate) if engine.stalled_rate < rate else 0.0
    answering = cycle + stalled
    waiting = _waiting_for_a_prompt(busy, prompt, answering)
    answering += waiting
    chats = demand.users / (demand.think_seconds + answering)
    streams = chats * answering

    needed = {
        "slots_at_target_load": math.ceil(streams / (host.all_slots * share)),
        "open_webui_streams": math.ceil(streams / (priors.value("webui_streams_per_process") * host.processes)),
        "cpu": _instances_by_cpu(demand, chats, kind, host, limits, priors),
        "requests_per_target": math.ceil(
            chats * 60 * priors.value("requests_per_chat") / limits.requests_per_target_per_minute
        ),
        "min_size": limits.min_size,
    }
    instances = max(needed.values())
    processes = instances * host.processes
    each = streams / processes
    first = waiting + prompt + 1 / rate
    added = priors.webui_added_ms
    return Plan(
        demand=demand,
        kind=kind,
        host=host,
        memory=memory[0],
        slots_that_fit=memory[1],
        stream_rate=rate,
        prompt_seconds=prompt,
        answer_seconds=answering,
        chats_per_second=chats,
        streams=streams,
        slots=instances * host.all_slots,
        first_token_p50=first + between(each, added.streams, added.p50) / 1000,
        first_token_p95=first + 2 * waiting + between(each, added.streams, added.p95) / 1000,
        needed=needed,
        instances=instances,
        processes=processes,
        streams_per_process=each,
        connections=processes * host.connections_per_process,
        fits_max_size=instances <= limits.max_size,
        load_with_one_lost=100 * streams / ((instances - 1) * host.all_slots) if instances > 1 else math.inf,
    )


def _waiting_for_a_prompt(streams: int, prompt: float, answering: float) -> float:
    """Return the mean wait in seconds for other prompts on the GPU, computed one after the other (M/D/1)."""
    share = min(0.95, (streams - 1) * prompt / answering)
    return share * prompt / (2 * (1 - share))


def _instances_by_cpu(
    demand: Demand, chats: float, kind: InstanceType, host: Host, limits: Limits, priors: Priors
) -> int:
    """Return 0 if the engines alone exceed scaling's CPU target: more instances would not help."""
    left = kind.vcpus * limits.cpu_percent / 100 - host.gpus * priors.value("engine_cpu_cores")
    return math.ceil(_cores(demand, chats, priors) / left) if left > 0 else 0


def _cores(demand: Demand, chats: float, priors: Priors) -> float:
    """Return the cores of Open WebUI in the whole fleet: answers (in proportion to tokens), sockets and pages."""
    measured_tokens = 200
    answers = chats * priors.value("webui_chat_cpu_ms") * demand.answer_tokens / measured_tokens
    sockets = demand.users * priors.value("webui_socket_cpu_ms_per_second")
    pages = demand.users / (60 * priors.value("session_minutes")) * priors.value("webui_page_cpu_ms")
    return (answers + sockets + pages) / 1000
