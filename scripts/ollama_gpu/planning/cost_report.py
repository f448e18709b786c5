"""A cost estimate as table rows and as JSON values. USD a month."""

from __future__ import annotations

from typing import Any

from ollama_gpu.planning.cost import Estimate, Line
from ollama_gpu.planning.usage import Range

COLUMNS = ("service", "what", "how much", "min", "typical", "max")


def rows(estimate: Estimate) -> list[tuple[str, ...]]:
    """All lines, then their sum."""
    found = [(line.service, line.what, line.quantity, *_three(line.month)) for line in estimate.lines]
    return [*found, ("", "sum", "", *_three(estimate.total))]


def fleet_rows(estimate: Estimate) -> list[tuple[str, str, str]]:
    """Compare on demand with spot, and show what scale-in saves."""
    found = []
    for fleet in estimate.fleets:
        each = f"{fleet.hourly:g} an hour each"
        sizes = f"{fleet.sizes.min:g} / {fleet.sizes.typical:g} / {fleet.sizes.max:g} instances"
        found += [
            (f"{fleet.name}: all on demand", _span(fleet.on_demand), f"{sizes}, {each}"),
            (
                f"{fleet.name}: as configured",
                _span(fleet.configured),
                f"{fleet.spot_sizes.typical:g} of them spot in a typical month",
            ),
            (
                f"{fleet.name}: spot above the base",
                _span(fleet.all_spot_above_base),
                "spot_enabled, spot_percentage = 100",
            ),
        ]
    most = sum(fleet.on_demand.max for fleet in estimate.fleets)
    share = 100 * estimate.saved / most if most else 0
    return [
        *found,
        (
            "scale-in saves",
            f"{estimate.saved:,.0f}",
            f"in a typical month compared with a constant max_size: {share:.0f} %",
        ),
    ]


def price_rows(estimate: Estimate) -> list[tuple[str, str, str]]:
    """Each price used, with its date and source, and whether the source was read."""
    region, share = estimate.prices.of(estimate.region), estimate.prices.spot_share
    found = [
        ("instances, hourly", "see above", _source(region.ec2)),
        ("RDS, hourly", "by class", _source(region.rds_multi_az)),
        ("ElastiCache, hourly", "by node", _source(region.elasticache_valkey)),
        ("spot, share of on demand", f"{share.min:g} / {share.typical:g} / {share.max:g}", _source(share)),
    ]
    used = {source for line in estimate.lines for source in line.sources if source in region.rates}
    return [
        *found,
        *((name, f"{region.rates[name].usd:g}", _source(region.rates[name])) for name in region.rates if name in used),
    ]


def values(environment: str, estimate: Estimate) -> dict[str, Any]:
    region = estimate.prices.of(estimate.region)
    return {
        "environment": environment,
        "region": estimate.region,
        "currency": "USD",
        "month": _range(estimate.total),
        "lines": [_line(line) for line in estimate.lines],
        "fleets": [
            {
                "fleet": fleet.name,
                "instance_type": fleet.instance_type,
                "usd_per_hour": fleet.hourly,
                "instances": _range(fleet.sizes),
                "spot_instances": _range(fleet.spot_sizes),
                "on_demand": _range(fleet.on_demand),
                "configured": _range(fleet.configured),
                "spot_above_base": _range(fleet.all_spot_above_base),
            }
            for fleet in estimate.fleets
        ],
        "saved_by_scale_in": round(estimate.saved, 2),
        "spot_share": estimate.prices.spot_share.model_dump(mode="json"),
        "prices": {name: rate.model_dump(mode="json") for name, rate in region.rates.items()},
    }


def _line(line: Line) -> dict[str, Any]:
    return {"service": line.service, "what": line.what, "quantity": line.quantity, "month": _range(line.month),
            "sources": list(line.sources)}  # fmt: skip


def _range(given: Range) -> dict[str, float]:
    return {"min": round(given.min, 2), "typical": round(given.typical, 2), "max": round(given.max, 2)}


def _three(given: Range) -> tuple[str, str, str]:
    return f"{given.min:,.2f}", f"{given.typical:,.2f}", f"{given.max:,.2f}"


def _span(given: Range) -> str:
    return f"{given.min:,.0f} / {given.typical:,.0f} / {given.max:,.0f}"


def _source(known: Any) -> str:
    return f"{known.date}, {'' if known.seen else 'not looked up: '}{known.source}"
