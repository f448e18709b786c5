"""What the instances that run cost an hour, from the same prices as the estimate of a month."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ollama_gpu.errors import UserError

from . import prices
from .prices import hourly


def an_hour(region: str, running: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    """USD an hour of instances, each a type and whether it is spot; ``unknown`` is why there is no figure.

    Spot by its typical share of the price on demand, which the market moves. Without volumes, traffic and stores: the
    verb `cost` has those.
    """
    known = prices.load()
    try:
        table = known.of(region).ec2
        each = [hourly(table, kind, region) * (known.spot_share.typical if spot else 1) for kind, spot in running]
    except UserError as error:
        return {"usd": None, "unknown": error.message}
    return {"usd": round(sum(each), 3), "instances": len(each), "prices_of": table.date.isoformat()}
