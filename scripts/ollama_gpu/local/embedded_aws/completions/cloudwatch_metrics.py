"""Metric data: select the data of a metric, compute its statistics, and the API operations that read metrics.

moto 5.2.5 includes the data of metrics with additional dimensions (it would add the metrics of instances to the metric
of their fleet), compares two dimensions wrongly, ignores the namespace and percentiles, and has little metric math. In
CloudWatch, metrics with different dimensions are different metrics.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, ValidationError
from moto.cloudwatch.models import CloudWatchBackend, MetricDatum
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult

from . import cloudwatch_math
from .cloudwatch_index import Key, select

EPOCH = datetime(1970, 1, 1)  # naive UTC, as in moto
DEFAULT_PERIOD_SECONDS = 60


@dataclass(frozen=True)
class Query:
    """A statistic of one metric, or an expression on the results of other queries."""

    id: str
    metric: Key | None = None
    statistic: str = ""
    unit: str | None = None
    period: int | None = None
    expression: str | None = None
    label: str | None = None
    returned: bool = True


def apply() -> None:
    """Patch the operations of moto's CloudWatch that read metrics."""
    CloudWatchResponse.get_metric_statistics = _get_metric_statistics
    CloudWatchResponse.get_metric_data = _get_metric_data
    CloudWatchBackend.get_filtered_metrics = _get_filtered_metrics


def key_of(namespace: str, name: str, dimensions: Iterable[Mapping[str, str]]) -> Key:
    """Return the identity of a metric from the parameters of a request."""
    return namespace, name, frozenset((each["Name"], each["Value"]) for each in dimensions)


def summarize(data: list[Any], statistic: str) -> float | None:
    """Compute one statistic, e.g. "Average" or "p95", of a period's data. None without data."""
    if not data:
        return None
    single = [each.value for each in data if isinstance(each, MetricDatum)]
    sets = [each for each in data if not isinstance(each, MetricDatum)]
    count = len(single) + sum(each.sample_count for each in sets)
    total = sum(single) + sum(each.sum for each in sets)
    if statistic == "SampleCount":
        return float(count)
    if statistic == "Sum":
        return float(total)
    if statistic == "Average":
        return float(total / count) if count else None
    if statistic == "Minimum":
        return float(min(single + [each.min for each in sets]))
    if statistic == "Maximum":
        return float(max(single + [each.max for each in sets]))
    if re.fullmatch(r"p\d+(\.\d+)?", statistic):
        means = [each.sum / each.sample_count for each in sets if each.sample_count]
        return _percentile(sorted(single + means), float(statistic[1:]))
    raise cloudwatch_math.UnsupportedExpression(f"statistic {statistic}")


def align(moment: datetime, period: int) -> datetime:
    """Return the start of the period of ``period`` seconds that contains ``moment``."""
    return EPOCH + (moment - EPOCH) // timedelta(seconds=period) * timedelta(seconds=period)


def values_of(backend: Any, queries: list[Query], start: datetime, period: int) -> dict[str, float | None]:
    """Return the value of every query by its id, in the ``period`` seconds from ``start``. None is missing data.

    Raises UnsupportedExpression if the embedded AWS cannot compute an expression.
    """
    end = start + timedelta(seconds=period)
    values: dict[str, float | None] = {}
    for query in queries:
        if query.metric is not None:
            values[query.id] = summarize(list(select(backend, query.metric, query.unit, start, end)), query.statistic)
    pending = [query for query in queries if query.metric is None]
    while pending:  # an expression may use a later one
        ready = [each for each in pending if not _uses(each, pending)]
        if not ready:
            raise cloudwatch_math.UnsupportedExpression("circular expressions")
        for query in ready:
            values[query.id] = cloudwatch_math.evaluate(query.expression or "", values)
        pending = [query for query in pending if query not in ready]
    return values


def period_of(queries: list[Query]) -> int:
    """Return the common period of queries in seconds: the longest one."""
    return max((query.period for query in queries if query.period), default=DEFAULT_PERIOD_SECONDS)


def _dimensions(datum: Any) -> frozenset[tuple[str, str]]:
    return frozenset((each.name, each.value) for each in datum.dimensions)


def _uses(query: Query, others: list[Query]) -> bool:
    words = set(re.findall(r"\w+", query.expression or ""))
    return any(each.id in words for each in others if each is not query)


def _percentile(ordered: list[float], percent: float) -> float | None:
    if not ordered:
        return None
    return float(ordered[max(math.ceil(percent / 100 * len(ordered)), 1) - 1])


def _get_metric_statistics(self: Any) -> ActionResult:
    """GetMetricStatistics, with extended statistics."""
    name, period = self._get_param("MetricName"), int(self._get_param("Period"))
    plain, extended = self._get_param("Statistics") or [], self._get_param("ExtendedStatistics") or []
    if not plain and not extended:
        raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    metric = key_of(self._get_param("Namespace"), name, self._get_param("Dimensions") or [])
    first, last = self._get_param("StartTime"), self._get_param("EndTime")
    periods: dict[datetime, list[Any]] = {}
    for datum in select(self.cloudwatch_backend, metric, self._get_param("Unit"), first, last):
        periods.setdefault(align(datum.timestamp, period), []).append(datum)
    points = []
    for start, data in sorted(periods.items()):
        point: dict[str, Any] = {"Timestamp": start, "Unit": data[0].unit or "None"}
        point |= {statistic: summarize(data, statistic) for statistic in plain}
        if extended:
            point["ExtendedStatistics"] = {statistic: summarize(data, statistic) for statistic in extended}
        points.append(point)
    return ActionResult({"Label": name, "Datapoints": points})


def _get_metric_data(self: Any) -> ActionResult:
    """GetMetricData with metric math, in one page. Rejects Metrics Insights and SEARCH."""
    queries = [_query(each) for each in self._get_param("MetricDataQueries") or []]
    period = period_of(queries)
    descending = (self._get_param("ScanBy") or "TimestampDescending") == "TimestampDescending"
    found: dict[str, list[tuple[datetime, float]]] = {query.id: [] for query in queries}
    start, last = align(self._get_param("StartTime"), period), self._get_param("EndTime")
    try:
        while start < last:
            for identifier, value in values_of(self.cloudwatch_backend, queries, start, period).items():
                if value is not None:
                    found[identifier].append((start, value))
            start += timedelta(seconds=period)
    except cloudwatch_math.UnsupportedExpression as error:
        raise ValidationError(f"The embedded AWS cannot compute the query: {error}") from error
    results = []
    for query in queries:
        points = sorted(found[query.id], reverse=descending)
        if query.returned:
            results.append(
                {
                    "Id": query.id,
                    "Label": query.label or (query.metric[1] if query.metric else query.id),
                    "Timestamps": [moment for moment, _ in points],
                    "Values": [value for _, value in points],
                    "StatusCode": "Complete",
                }
            )
    return ActionResult({"MetricDataResults": results})


def _query(request: Mapping[str, Any]) -> Query:
    common = {"id": request["Id"], "label": request.get("Label"), "returned": request.get("ReturnData", True)}
    if "MetricStat" in request:
        stat = request["MetricStat"]
        metric = stat["Metric"]
        return Query(
            **common,
            metric=key_of(metric["Namespace"], metric["MetricName"], metric.get("Dimensions") or []),
            statistic=stat["Stat"],
            unit=stat.get("Unit"),
            period=int(stat["Period"]),
        )
    if "Expression" not in request:
        raise ValidationError(f"The query {request['Id']} has neither MetricStat nor Expression.")
    return Query(**common, expression=request["Expression"], period=request.get("Period"))


def _get_filtered_metrics(
    self: Any, metric_name: str | None, namespace: str | None, dimensions: list[dict[str, str]]
) -> list[Any]:
    """Return each metric once."""
    metrics: dict[Key, Any] = {}
    for datum in self.get_all_metrics():
        if datum.filter(namespace=namespace, name=metric_name, dimensions=dimensions):
            metrics.setdefault((datum.namespace, datum.name, _dimensions(datum)), datum)
    return list(metrics.values())
