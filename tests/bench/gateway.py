"""What the gateway itself adds to a chat, against Ollama direct: pairs of requests in one run, inside one instance."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from tests.bench.instance import Instance
from tests.bench.measure import quantile
from tests.serving.traffic import MODEL

PAIRS = 100


def figures(instance: Instance, pairs: int = PAIRS) -> dict[str, Any]:
    """Milliseconds to the first token of a chat of one token, and of an answer without a model."""
    ports = instance.serving.context.contract.ports
    asked = {"pairs": pairs, "model": MODEL, "direct": ports["ollama_first"], "gateway": ports["gateway"]}
    told = instance.python("gateway", asked)
    return {
        f"gateway's own cost, {pairs} pairs of chats: ms to the first token": added(told["chats"]),
        f"gateway's own cost, {pairs} pairs of GET /api/version: ms": added(told["versions"]),
    }


def added(pairs: Sequence[Sequence[float]]) -> dict[str, float]:
    """p50 and p99 of each way and the differences; the median of what each pair differs by is the least disturbed."""
    direct, gateway = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found: dict[str, float] = {}
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        found[f"direct_{name}"] = quantile(direct, share)
        found[f"gateway_{name}"] = quantile(gateway, share)
        found[f"added_{name}"] = quantile(gateway, share) - quantile(direct, share)
    found["median_of_differences"] = statistics.median(pair[1] - pair[0] for pair in pairs)
    return {name: round(value, 2) for name, value in found.items()}
