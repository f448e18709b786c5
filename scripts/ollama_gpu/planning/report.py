"""A plan and a simulated day as table rows and as JSON values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ollama_gpu.catalogue.prices import HOURS_A_MONTH, load
from ollama_gpu.models.memory import GIB, Serving, explain
from ollama_gpu.planning.day import Day
from ollama_gpu.planning.plan import Plan
from ollama_gpu.planning.priors import Figure, Gpu, Priors
from ollama_gpu.planning.scenario import Scenario
from ollama_gpu.planning.simulation import Outcome

Rows = list[tuple[str, str, str]]
_GOAL_SECONDS = 2.0  # requirement 1.5


def plan_values(scenario: Scenario, plan: Plan) -> dict[str, Any]:
    """Return a plan as JSON values; the keys name the units."""
    host, demand = plan.host, plan.demand
    return {
        "environment": scenario.environment,
        "region": scenario.region,
        "model": scenario.model.name,
        "instance_type": plan.kind.name,
        "users": demand.users,
        "think_seconds": demand.think_seconds,
        "prompt_tokens": demand.prompt_tokens,
        "answer_tokens": demand.answer_tokens,
        "streams": round(plan.streams, 1),
        "chats_per_second": round(plan.chats_per_second, 2),
        "stream_tokens_per_second": round(plan.stream_rate, 1),
        "answer_seconds": round(plan.answer_seconds, 2),
        "first_token_p50_seconds": round(plan.first_token_p50, 2),
        "first_token_p95_seconds": round(plan.first_token_p95, 2),
        "slots_per_gpu": host.slots,
        "slots_per_gpu_that_fit": plan.slots_that_fit,
        "slots": plan.slots,
        "context_tokens": host.context,
        "gpu_memory": {
            "weights_gib": round(plan.memory.weights / GIB, 2),
            "kv_cache_gib": round(plan.memory.kv_cache / GIB, 2),
            "buffers_gib": round(plan.memory.compute / GIB, 2),
            "process_gib": round(plan.memory.process / GIB, 2),
            "total_gib": round(plan.memory.total / GIB, 2),
            "gpu_gib": round(plan.kind.gpus.memory_mib / 1024, 2),
        },
        "instances": plan.instances,
        "instances_by": plan.needed,
        "decided_by": plan.decided_by,
        "max_size": scenario.fleet["max_size"],
        "fits_max_size": plan.fits_max_size,
        "load_percent_with_one_instance_lost": round(plan.load_with_one_lost, 1),
        "open_webui_processes": plan.processes,
        "streams_per_process": round(plan.streams_per_process, 1),
        "database_connections": plan.connections,
        "usd_per_hour": round(plan.instances * scenario.hourly, 2),
        "usd_per_month_if_always_on": round(plan.instances * scenario.hourly * HOURS_A_MONTH),
        "priors": priors_values(scenario.priors, plan.kind.gpus.name.partition(" ")[0]),
    }


LIMITS = {
    "slots_at_target_load": "slots at the load that scaling keeps",
    "open_webui_streams": "streams of Open WebUI's processes",
    "cpu": "CPU",
    "requests_per_target": "requests per target and minute",
    "min_size": "min_size",
}
"""The limits of `Plan.needed` in words."""


def plan_rows(scenario: Scenario, plan: Plan) -> Rows:
    """Return a plan as rows of item, value and reason."""
    host, demand, kind = plan.host, plan.demand, plan.kind
    fleet, hourly = scenario.fleet, scenario.hourly
    busy = round(host.slots * fleet["scaling"]["inference_load_percent"] / 100)
    month = plan.instances * hourly * HOURS_A_MONTH
    rows = [
        (
            "streams",
            f"{plan.streams:.0f}",
            f"{demand.users} users x {plan.answer_seconds:.1f} s answering / ({demand.think_seconds:.0f} s thinking "
            f"+ {plan.answer_seconds:.1f} s); {plan.chats_per_second:.1f} chats/s",
        ),
        (
            "rate of a stream",
            f"{plan.stream_rate:.0f} tokens/s",
            f"{scenario.model.name} on {kind.gpus.name}, {busy} of {host.slots} slots busy",
        ),
        (
            "first token",
            f"p50 {plan.first_token_p50:.2f} s, p95 {plan.first_token_p95:.2f} s",
            f"{_goal(plan.first_token_p95)}; prompt {plan.prompt_seconds:.2f} s, then waiting for prompts, one step, "
            "Open WebUI; without queues, which `ollama-gpu simulate` shows",
        ),
        (
            "GPU memory",
            f"{plan.memory.total / GIB:.1f} of {kind.gpus.memory_mib / 1024:.1f} GiB",
            explain([plan.memory], Serving(host.slots, host.context, host.kv_cache_type)),
        ),
        (
            "slots",
            str(plan.slots),
            f"{plan.instances} instances x {host.gpus} GPUs x {host.slots}; memory has room for "
            f"{plan.slots_that_fit} per GPU",
        ),
        (
            "instances",
            f"{plan.instances} x {kind.name}",
            "needed by " + ", ".join(f"{LIMITS[name]}: {count}" for name, count in plan.needed.items()),
        ),
        (
            "one instance lost",
            f"{plan.load_with_one_lost:.0f} % load" if math.isfinite(plan.load_with_one_lost) else "none left",
            "of the remaining slots",
        ),
        (
            "Open WebUI",
            f"{plan.processes} processes",
            f"{host.processes} per instance; {plan.streams_per_process:.1f} streams each, "
            f"a process serves {scenario.priors.value('webui_streams_per_process'):.0f} well",
        ),
        (
            "database",
            f"{plan.connections} connections",
            f"at most {host.connections_per_process} per process, on these instances",
        ),
        (
            "price",
            f"{plan.instances * hourly:.2f} USD/h",
            f"{hourly} per instance, on demand, {scenario.region}, prices of {load().of(scenario.region).ec2.date}; "
            f"{month:,.0f} a month if always on",
        ),
    ]
    if not plan.fits_max_size:
        rows.append(
            (
                "does not fit",
                f"max_size is {fleet['max_size']}",
                f"raise fleets.interactive.max_size to {plan.instances}, or use more slots (ollama_num_parallel), a "
                "larger type or a smaller model; deciding limit: " + LIMITS[plan.decided_by],
            )
        )
    return rows


def prior_rows(priors: Priors, gpu: str) -> Rows:
    """Return the priors as rows of name, value and source."""
    rows = [(name, f"{each.value:g} {each.unit}", _origin(each)) for name, each in priors.figures.items()]
    known = priors.gpus[gpu]
    return [*rows, (gpu, _gpu(known), _origin(known)),
            ("Open WebUI adds", "by streams per process", _origin(priors.webui_added_ms)),
            ("batching", "by streams per GPU", _origin(priors.batching))]  # fmt: skip


def priors_values(priors: Priors, gpu: str) -> dict[str, Any]:
    kept = {name: each.model_dump(mode="json") for name, each in priors.figures.items()}
    return kept | {
        gpu: priors.gpus[gpu].model_dump(mode="json"),
        "webui_added_ms": priors.webui_added_ms.model_dump(mode="json"),
        "batching": priors.batching.model_dump(mode="json"),
    }


def day_values(scenario: Scenario, day: Day, outcome: Outcome) -> dict[str, Any]:
    """Return a simulated day as JSON values. Costs in USD cover only the instances."""
    share = load().spot_share
    on_demand, spot = outcome.on_demand_hours * scenario.hourly, outcome.spot_hours * scenario.hourly
    return {
        "environment": scenario.environment,
        "model": scenario.model.name,
        "instance_type": scenario.kind.name,
        "users": [day.fewest, day.most],
        "chats": outcome.chats,
        "first_token_p50_seconds": _rounded(outcome.waits.at(0.5)),
        "first_token_p95_seconds": _rounded(outcome.waits.at(0.95)),
        "refused": outcome.refused,
        "timed_out_in_queue": outcome.timed_out,
        "cut": outcome.cut,
        "moved_users": outcome.moved,
        "spot_losses": outcome.spot_losses,
        "tokens": round(outcome.tokens),
        "instances": {
            "min": outcome.fewest,
            "mean": round(outcome.instance_hours * 3600 / outcome.seconds, 2),
            "max": outcome.most,
        },
        "instance_hours": {"on_demand": round(outcome.on_demand_hours, 1), "spot": round(outcome.spot_hours, 1)},
        "usd": {
            "min": round(on_demand + spot * share.min, 2),
            "typical": round(on_demand + spot * share.typical, 2),
            "max": round(on_demand + spot * share.max, 2),
        },
        "usd_at_max_size": round(scenario.fleet["max_size"] * outcome.seconds / 3600 * scenario.hourly, 2),
        "quarters": [
            {
                "hour": entry.at / 3600,
                "users": entry.users,
                "instances": entry.instances,
                "load_percent": round(entry.load_percent, 1),
                "first_token_p50_seconds": _rounded(entry.waits.at(0.5)),
                "first_token_p95_seconds": _rounded(entry.waits.at(0.95)),
                "refused": entry.refused,
            }
            for entry in outcome.entries
        ],
        "decisions": [{"hour": round(at / 3600, 3), "size": size, "by": by} for at, size, by in outcome.decisions],
    }


def day_rows(values: dict[str, Any]) -> Sequence[tuple[str, ...]]:
    """Return the day by hour, each with the figures of its worst quarter."""
    rows = []
    for hour in range(math.ceil(len(values["quarters"]) / 4)):
        quarters = values["quarters"][4 * hour : 4 * hour + 4]
        rows.append(
            (
                f"{hour:02}:00",
                str(max(each["users"] for each in quarters)),
                str(max(each["instances"] for each in quarters)),
                f"{max(each['load_percent'] for each in quarters):.0f} %",
                _seconds(max((each["first_token_p50_seconds"] or 0) for each in quarters)),
                _seconds(max((each["first_token_p95_seconds"] or 0) for each in quarters)),
                str(sum(each["refused"] for each in quarters)),
            )
        )
    return rows


DAY_COLUMNS = ("from", "users", "instances", "load", "first token p50", "p95", "refused")


def day_summary(values: dict[str, Any]) -> Rows:
    sizes, usd = values["instances"], values["usd"]
    p50, p95 = values["first_token_p50_seconds"], values["first_token_p95_seconds"]
    return [
        ("chats", f"{values['chats']:,}", f"{values['tokens']:,} tokens"),
        ("first token", f"p50 {_seconds(p50)}, p95 {_seconds(p95)}", _goal(p95 or math.inf)),
        (
            "refused",
            f"{values['refused']:,}",
            f"queue full, each with Retry-After; {values['timed_out_in_queue']:,} more timed out in the queue",
        ),
        (
            "cut",
            str(values["cut"]),
            f"streams lost with their instance; {values['spot_losses']} spot losses, "
            f"{values['moved_users']:,} users moved to another instance",
        ),
        ("instances", f"{sizes['min']} to {sizes['max']}, mean {sizes['mean']}", values["instance_type"]),
        (
            "cost",
            f"{usd['typical']:,.2f} USD",
            f"for the day's instances, {usd['min']:,.2f} to {usd['max']:,.2f} depending on the spot price; "
            f"{values['usd_at_max_size']:,.2f} at a constant max_size",
        ),
    ]


def _origin(each: Figure | Gpu | Any) -> str:
    date = f" {each.date}" if each.date else ""
    return f"{each.origin}{date}: {each.source}"


def _gpu(known: Gpu) -> str:
    return f"{known.bandwidth:g} GB/s x {known.efficiency:g}, {known.prompt_8b:g} prompt tokens/s (8B)"


def _goal(p95: float) -> str:
    return f"the goal is below {_GOAL_SECONDS:g} s: {'met' if p95 < _GOAL_SECONDS else 'MISSED'}"


def _rounded(seconds: float) -> float | None:
    return round(seconds, 3) if math.isfinite(seconds) else None


def _seconds(value: float | None) -> str:
    return "-" if not value else f"{value:.2f} s"
