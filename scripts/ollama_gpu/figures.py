"""The newest figures of CloudWatch: one question for all that a screen shows."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from ollama_gpu.context import Context

QUERIES = 500
"""Of one GetMetricData, AWS's limit. A thousand of them cost 0.01 USD."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Wanted:
    """A metric of the contract by name, its dimensions, and which statistic of a period."""

    metric: str
    statistic: str
    dimensions: tuple[tuple[str, str], ...]


def of_fleet(metric: str, statistic: str, group: str) -> Wanted:
    """A figure of a whole fleet, by its Auto Scaling group."""
    return Wanted(metric, statistic, (("AutoScalingGroupName", group),))


def of_instance(metric: str, group: str, instance: str) -> Wanted:
    """A figure that one instance reports once a minute."""
    return Wanted(metric, "Average", (("AutoScalingGroupName", group), ("InstanceId", instance)))


def newest(context: Context, wanted: Mapping[Key, Wanted], period: int = 60, within: int = 300) -> dict[Key, float]:
    """The newest value of each that has one; ``period`` and ``within`` are seconds.

    Five minutes by default: the agent sends every minute, and points come late. Raises ValueError for a metric or
    a set of dimensions that the contract does not promise.
    """
    now = datetime.now(UTC)
    found: dict[Key, float] = {}
    everything = list(wanted)
    for keys in (everything[start : start + QUERIES] for start in range(0, len(everything), QUERIES)):
        queries = [_query(context, index, wanted[key], period) for index, key in enumerate(keys)]
        for result in _results(context, queries, now - timedelta(seconds=within), now):
            key = keys[int(result["Id"][1:])]
            if result["Values"] and key not in found:  # newest first, also over pages
                found[key] = result["Values"][0]
    return found


def _query(context: Context, index: int, wanted: Wanted, period: int) -> dict[str, Any]:
    promised = context.contract.metrics.names.get(wanted.metric)
    names = [name for name, _ in wanted.dimensions]
    if promised is None or names not in promised.dimensions:
        raise ValueError(f"the contract promises no metric {wanted.metric} by {', '.join(names)}")
    metric = {
        "Namespace": context.contract.metrics.namespace,
        "MetricName": wanted.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in wanted.dimensions],
    }
    return {"Id": f"m{index}", "MetricStat": {"Metric": metric, "Period": period, "Stat": wanted.statistic}}


def _results(
    context: Context, queries: Sequence[dict[str, Any]], start: datetime, end: datetime
) -> Iterator[dict[str, Any]]:
    pages = context.aws.cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=list(queries),  # type: ignore[arg-type]
        StartTime=start,
        EndTime=end,
        ScanBy="TimestampDescending",
    )
    for page in pages:
        yield from page["MetricDataResults"]  # type: ignore[misc]
