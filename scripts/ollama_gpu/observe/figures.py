"""The newest values of many CloudWatch metrics in few requests."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from ollama_gpu.environment.context import Context

QUERIES = 500
"""AWS's limit for one GetMetricData request. A thousand metrics cost 0.01 USD."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class MetricQuery:
    """A metric of the contract, its dimensions, and the statistic of a period."""

    metric: str
    statistic: str
    dimensions: tuple[tuple[str, str], ...]


def fleet_query(metric: str, statistic: str, group: str) -> MetricQuery:
    """Query a metric of a fleet, by its Auto Scaling group."""
    return MetricQuery(metric, statistic, (("AutoScalingGroupName", group),))


def instance_query(metric: str, group: str, instance: str) -> MetricQuery:
    """Query a metric that one instance reports once a minute."""
    return MetricQuery(metric, "Average", (("AutoScalingGroupName", group), ("InstanceId", instance)))


def newest(
    context: Context, metrics: Mapping[Key, MetricQuery], period: int = 60, within: int = 300
) -> dict[Key, float]:
    """Return the newest value of each metric that has one. ``period`` and ``within`` are in seconds.

    The default of five minutes allows for late data points: the agent sends once a minute. Raises ValueError for a
    metric or a set of dimensions that is not in the contract.
    """
    now = datetime.now(UTC)
    found: dict[Key, float] = {}
    everything = list(metrics)
    for keys in (everything[start : start + QUERIES] for start in range(0, len(everything), QUERIES)):
        queries = [_query(context, index, metrics[key], period) for index, key in enumerate(keys)]
        for result in _results(context, queries, now - timedelta(seconds=within), now):
            key = keys[int(result["Id"][1:])]
            if result["Values"] and key not in found:  # newest first, across pages too
                found[key] = result["Values"][0]
    return found


def _query(context: Context, index: int, query: MetricQuery, period: int) -> dict[str, Any]:
    agreed = context.contract.metrics.names.get(query.metric)
    names = [name for name, _ in query.dimensions]
    if agreed is None or names not in agreed.dimensions:
        raise ValueError(f"the contract has no metric {query.metric} with the dimensions {', '.join(names)}")
    metric = {
        "Namespace": context.contract.metrics.namespace,
        "MetricName": query.metric,
        "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions],
    }
    return {"Id": f"m{index}", "MetricStat": {"Metric": metric, "Period": period, "Stat": query.statistic}}


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
