"""Delay that the gateway adds to a chat, against Ollama directly: paired requests in one run, inside one instance."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Any

from bench.instance import Instance
from bench.measure import quantile
from tests.serving.traffic import MODEL

PAIRS = 100
_RESAMPLES = 1000


def figures(instance: Instance, pairs: int = PAIRS) -> dict[str, Any]:
    """Milliseconds to the first token of a chat of one token, and of an answer without a model."""
    ports = instance.serving.context.contract.ports
    request = {"pairs": pairs, "model": MODEL, "direct": ports["ollama_first"], "gateway": ports["gateway"]}
    results = instance.python("gateway", request)
    return {
        f"gateway's own cost, {pairs} pairs of chats: ms to the first token": added(results["chats"]),
        f"gateway's own cost, {pairs} pairs of GET /api/version: ms": added(results["versions"]),
    }


def added(pairs: Sequence[Sequence[float]]) -> dict[str, float | list[float]]:
    """p50 and p99 of each path, and the delay that the gateway adds, with its 95 % interval.

    A model's own time varies by tens of milliseconds from chat to chat. If an interval contains 0, this number of
    pairs does not show a cost. The p99 of a hundred pairs is little more than the two slowest.
    """
    chance = random.Random(1)  # noqa: S311 - resampling, no secret
    resampled = [_added(chance.choices(pairs, k=len(pairs))) for _ in range(_RESAMPLES)]
    results: dict[str, float | list[float]] = {}
    for name, value in _added(pairs).items():
        results[name] = round(value, 2)
        if name.startswith("added"):
            values = [each[name] for each in resampled]
            results[f"{name}_interval"] = [round(quantile(values, share), 2) for share in (0.025, 0.975)]
    return results


def _added(pairs: Sequence[Sequence[float]]) -> dict[str, float]:
    direct, gateway = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found: dict[str, float] = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        found[f"direct_{name}"] = quantile(direct, share)
        found[f"gateway_{name}"] = quantile(gateway, share)
        found[f"added_{name}"] = quantile(gateway, share) - quantile(direct, share)
    found["added_median_of_pairs"] = statistics.median(pair[1] - pair[0] for pair in pairs)
    return found
