"""The hourly cost of the running instances, from the same prices as the monthly estimate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ollama_gpu.catalogue import prices
from ollama_gpu.catalogue.prices import hourly
from ollama_gpu.core.errors import UserError


def an_hour(region: str, running: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    """Return USD an hour of instances, each a type and whether it is spot; ``unknown`` explains a missing figure.

    Spot instances count with the typical spot share of the on-demand price; the market price varies. Volumes, traffic
    and data stores are not included: see the verb `cost`.
    """
    known = prices.load()
    try:
        table = known.of(region).ec2
        each = [hourly(table, kind, region) * (known.spot_share.typical if spot else 1) for kind, spot in running]
    except UserError as error:
        return {"usd": None, "unknown": error.message}
    return {"usd": round(sum(each), 3), "instances": len(each), "prices_of": table.date.isoformat()}
