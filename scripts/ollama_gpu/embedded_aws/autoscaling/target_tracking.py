"""Target tracking: each minute the metric's recent values decide whether the group grows or shrinks.

Out when any policy's last three minutes are above its target, in proportion to the excess. In when all
policies that may scale in have been below 90 % of theirs for fifteen minutes, one instance at a time. A minute
without data decides nothing. The figures are those of the alarms that AWS makes for such a policy.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from ollama_gpu.embedded_aws.completions import cloudwatch_evaluation, cloudwatch_math

from . import activities
from .group import Group, Json, weight
from .policies import HIGH_PERIODS, LOW_PERIODS, LOW_SHARE, TARGET_TRACKING, Policy
from .policy_metrics import metric_queries
from .region import Region

_EVERY = timedelta(minutes=1)
_PERIOD = timedelta(minutes=1)

Series = list[float | None]


def run(region: Region, group: Group, now: datetime) -> None:
    """Evaluate a group's policies, at most once a minute, and set its desired capacity."""
    tracking = [policy for policy in group.policies.values() if policy.kind == TARGET_TRACKING and policy.enabled]
    if not tracking or not group.allows("AlarmNotification"):
        return
    if group.tracked_at is not None and now - group.tracked_at < _EVERY:
        return
    group.tracked_at = now
    warm, warming = _warmth(group, tracking, now)
    proposals = [
        (policy, propose(warm, _target(policy), series(region, group, policy, now), _may_shrink(policy)))
        for policy in tracking
    ]
    chosen = decide(group.desired_capacity, proposals, warming=warming)
    if chosen is None:
        return
    policy, desired = chosen
    desired = max(group.min_size, min(group.max_size, desired))
    if desired != group.desired_capacity:
        high = desired > group.desired_capacity
        alarm = next((name for name, _ in policy.alarms if ("AlarmHigh" if high else "AlarmLow") in name), "")
        group.resize(desired, activities.alarm_execution(alarm, policy.name, now))
        group.scaled_at = now


def decide(desired: int, proposals: list[tuple[Policy, int | None]], *, warming: bool) -> tuple[Policy, int] | None:
    """The capacity that all proposals together want, or None to stay.

    A proposal is a capacity, or None where the metric says nothing for sure. Policies that may not scale in
    have no voice against it; while an instance warms up the group does not shrink.
    """
    known = [(policy, capacity) for policy, capacity in proposals if capacity is not None]
    growing = [(policy, capacity) for policy, capacity in known if capacity > desired]
    if growing:
        return max(growing, key=lambda proposal: proposal[1])
    voters = [(policy, capacity) for policy, capacity in proposals if _may_shrink(policy)]
    if warming or not voters:
        return None
    agreed = [(policy, size) for policy, size in voters if size is not None and size < desired]
    if len(agreed) < len(voters):
        return None
    policy, _ = max(agreed, key=lambda proposal: proposal[1])
    return policy, desired - 1


def propose(capacity: int, target: float, values: Series, may_shrink: bool) -> int | None:
    """What one policy wants, by its metric's values a minute, the latest last; None where it wants nothing."""
    latest = values[-1] if values else None
    if latest is None or target <= 0:
        return None
    recent = values[-HIGH_PERIODS:]
    if len(recent) == HIGH_PERIODS and all(value is not None and value > target for value in recent):
        return max(capacity + 1, math.ceil(capacity * latest / target))
    long = values[-LOW_PERIODS:]
    if (
        may_shrink
        and len(long) == LOW_PERIODS
        and all(value is not None and value < target * LOW_SHARE for value in long)
    ):
        return math.ceil(capacity * latest / target)
    return None


def series(region: Region, group: Group, policy: Policy, now: datetime) -> Series:
    """The policy's metric in each of the last whole minutes; None for a minute without data."""
    end = now.astimezone(UTC).replace(second=0, microsecond=0, tzinfo=None)
    queries = metric_queries(group, policy.tracking)
    data = cloudwatch_backends[region.account][region.name].metric_data
    # unsorted and long: look at the window once
    data = [datum for datum in data if end - LOW_PERIODS * _PERIOD <= datum.timestamp < end]
    return [_value(queries, data, end - age * _PERIOD) for age in range(LOW_PERIODS, 0, -1)]


def _value(queries: list[Json], data: list[Any], start: datetime) -> float | None:
    values: dict[str, float | None] = {}
    for query in queries:
        if "MetricStat" in query:
            values[query["Id"]] = _statistic(query["MetricStat"], data, start)
    # an expression may use another that is written after it
    expressions = [query for query in queries if query.get("Expression")]
    for _ in expressions:
        for query in expressions:
            try:
                values[query["Id"]] = cloudwatch_math.evaluate(query["Expression"], values)
            except cloudwatch_math.UnsupportedExpression:
                values.setdefault(query["Id"], None)
    returned = [query["Id"] for query in queries if query.get("ReturnData", True)]
    return values.get(returned[0]) if returned else None


def _statistic(stat: Json, data: list[Any], start: datetime) -> float | None:
    metric = stat["Metric"]
    wanted = sorted((each["Name"], each["Value"]) for each in metric.get("Dimensions") or [])
    end = start + _PERIOD
    found = [
        datum
        for datum in data
        if datum.name == metric["MetricName"]
        and datum.namespace == metric["Namespace"]
        and start <= datum.timestamp < end
        and stat.get("Unit") in (None, datum.unit)
        and sorted((each.name, each.value) for each in datum.dimensions) == wanted
    ]
    return cloudwatch_evaluation.summarize(found, stat["Stat"])


def _warmth(group: Group, tracking: list[Policy], now: datetime) -> tuple[int, bool]:
    """The capacity that the metrics speak of, and whether more of it is still warming up."""
    seconds = max(int(policy.given.get("EstimatedInstanceWarmup") or group.warmup()) for policy in tracking)
    members = group.capacity()
    warm = [
        member
        for member in members
        if member.in_service_since is not None and now >= member.in_service_since + timedelta(seconds=seconds)
    ]
    return weight(warm) or weight(members), len(warm) < len(members)


def _target(policy: Policy) -> float:
    return float(policy.tracking["TargetValue"])


def _may_shrink(policy: Policy) -> bool:
    return not policy.tracking.get("DisableScaleIn")
