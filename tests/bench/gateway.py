"""What the gateway itself adds to a chat, against Ollama direct: pairs of requests in one run, inside one instance."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Any

from tests.bench.instance import Instance
from tests.bench.measure import quantile
from tests.serving.traffic import MODEL

PAIRS = 100
_RESAMPLES = 1000


def figures(instance: Instance, pairs: int = PAIRS) -> dict[str, Any]:
    """Milliseconds to the first token of a chat of one token, and of an answer without a model."""
    ports = instance.serving.context.contract.ports
    asked = {"pairs": pairs, "model": MODEL, "direct": ports["ollama_first"], "gateway": ports["gateway"]}
    told = instance.python("gateway", asked)
    return {
        f"gateway's own cost, {pairs} pairs of chats: ms to the first token": added(told["chats"]),
        f"gateway's own cost, {pairs} pairs of GET /api/version: ms": added(told["versions"]),
    }


def added(pairs: Sequence[Sequence[float]]) -> dict[str, float | list[float]]:
    """p50 and p99 of each way, and what the gateway adds with its 95 % interval.

    A model's own time differs by tens of milliseconds from chat to chat. An interval that has 0 in it says that so
    many pairs do not show a cost, and p99 of a hundred is little more than the two slowest.
    """
    chance = random.Random(1)  # noqa: S311 - resampling, no secret
    resampled = [_added(chance.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES)]
    told: dict[str, float | list[float]] = {}
    for name, value in _added(pairs).items():
        told[name] = round(value, 2)
        if name.startswith("added"):
            values = [each[name] for each in resampled]
            told[f"{name}_interval"] = [round(quantile(values, share), 2) for share in (0.025, 0.975)]
    return told


def _added(pairs: Sequence[Sequence[float]]) -> dict[str, float]:
    direct, gateway = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found: dict[str, float] = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        found[f"direct_{name}"] = quantile(direct, share)
        found[f"gateway_{name}"] = quantile(gateway, share)
        found[f"added_{name}"] = quantile(gateway, share) - quantile(direct, share)
    found["added_median_of_pairs"] = statistics.median(pair[1] - pair[0] for pair in pairs)
    return found
