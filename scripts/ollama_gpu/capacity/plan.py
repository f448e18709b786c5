"""From users to instances: streams, slots, memory, processes, what decides, and what it costs.

A closed loop: each user thinks, asks and waits for the answer: `streams = users x answering / (thinking + answering)`.
The GPUs are taken at the load that scaling holds them at, not at full, for that is what will run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ollama_gpu.capacity.demand import Demand
from ollama_gpu.capacity.engine import Engine
from ollama_gpu.capacity.host import Host
from ollama_gpu.capacity.priors import Priors, between
from ollama_gpu.instance_types import InstanceType
from ollama_gpu.model_memory import Need


@dataclass(frozen=True)
class Limits:
    """What Terraform says of the fleet; percentages are the targets that scaling holds."""

    min_size: int
    max_size: int
    cpu_percent: float
    inference_load_percent: float
    requests_per_target_per_minute: float

    @classmethod
    def of(cls, fleet: dict[str, Any]) -> Limits:
        """From a fleet's value as Terraform has it (ollama_gpu.terraform.values)."""
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
    """Times in seconds, rates in tokens/s, ``needed`` by what asks for so many instances."""

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
    """The plan for a demand. ``memory``: what the model takes, and how many slots would fit."""
    share = limits.inference_load_percent / 100
    busy = max(1, round(host.slots * share))
    rate = engine.stream_rates[busy]
    prompt = demand.prompt_tokens / engine.prompt_rate
    # The GPU's other streams put in a prompt each in the time of an answer: these stall the decoding.
    cycle = demand.answer_tokens / rate + prompt
    stalled = (busy - 1) * prompt * (1 - engine.stalled_rate / rate) if engine.stalled_rate < rate else 0.0
    answering = cycle + stalled
    waiting = _waiting_for_a_prompt(busy, prompt, answering)
    answering += waiting
    chats = demand.users / (demand.think_seconds + answering)
    streams = chats * answering

    needed = {
        "slots at the load that scaling holds": math.ceil(streams / (host.all_slots * share)),
        "streams of the Open WebUI processes": math.ceil(
            streams / (priors.value("webui_streams_per_process") * host.processes)
        ),
        "CPU": _instances_by_cpu(demand, chats, kind, host, limits, priors),
        "requests a target and minute": math.ceil(
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
    """Mean wait, in seconds, until the prompts of others on the GPU are through: one after the other, M/D/1."""
    share = min(0.95, (streams - 1) * prompt / answering)
    return share * prompt / (2 * (1 - share))


def _instances_by_cpu(
    demand: Demand, chats: float, kind: InstanceType, host: Host, limits: Limits, priors: Priors
) -> int:
    """0 where the engines alone take more than scaling's target: no number of instances brings that down."""
    left = kind.vcpus * limits.cpu_percent / 100 - host.gpus * priors.value("engine_cpu_cores")
    return math.ceil(_cores(demand, chats, priors) / left) if left > 0 else 0


def _cores(demand: Demand, chats: float, priors: Priors) -> float:
    """Cores of Open WebUI in the whole fleet: answers, sockets, pages. The answer's part grows with its tokens."""
    measured_tokens = 200
    answers = chats * priors.value("webui_chat_cpu_ms") * demand.answer_tokens / measured_tokens
    sockets = demand.users * priors.value("webui_socket_cpu_ms_per_second")
    pages = demand.users / (60 * priors.value("session_minutes")) * priors.value("webui_page_cpu_ms")
    return (answers + sockets + pages) / 1000
