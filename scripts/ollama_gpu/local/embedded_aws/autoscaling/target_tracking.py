"""Evaluate the target tracking policies of a group from CloudWatch's metrics, at most once a minute.

`ollama_gpu.core.target_tracking` has the rules by which AWS scales.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from ollama_gpu.core.target_tracking import LOW_PERIODS, Proposal, Series, decide, propose
from ollama_gpu.local.embedded_aws.completions import cloudwatch_evaluation, cloudwatch_math

from . import activities
from .model import Group, Json, Policy
from .policies import TARGET_TRACKING
from .policy_metrics import metric_queries
from .region import Region

_EVERY = timedelta(minutes=1)
_PERIOD = timedelta(minutes=1)


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
        Proposal(
            policy.name,
            propose(warm, _target(policy), series(region, group, policy, now), _may_scale_in(policy)),
            _may_scale_in(policy),
        )
        for policy in tracking
    ]
    chosen = decide(group.desired_capacity, proposals, warming=warming)
    if chosen is None or chosen.capacity is None:
        return
    policy = group.policies[chosen.policy]
    desired = max(group.min_size, min(group.max_size, chosen.capacity))
    if desired != group.desired_capacity:
        high = desired > group.desired_capacity
        alarm = next((name for name, _ in policy.alarms if ("AlarmHigh" if high else "AlarmLow") in name), "")
        group.resize(desired, activities.alarm_execution(alarm, policy.name, now))


def series(region: Region, group: Group, policy: Policy, now: datetime) -> Series:
    """Return the policy's metric in each of the last whole minutes, None for a minute without data."""
    end = now.astimezone(UTC).replace(second=0, microsecond=0, tzinfo=None)
    queries = metric_queries(group, policy.tracking)
    data = cloudwatch_backends[region.account][region.name].metric_data
    # the list is long and unsorted: filter it by time once
    data = [datum for datum in data if end - LOW_PERIODS * _PERIOD <= datum.timestamp < end]
    return [_value(queries, data, end - age * _PERIOD) for age in range(LOW_PERIODS, 0, -1)]


def _value(queries: list[Json], data: list[Any], start: datetime) -> float | None:
    values: dict[str, float | None] = {}
    for query in queries:
        if "MetricStat" in query:
            values[query["Id"]] = _statistic(query["MetricStat"], data, start)
    # an expression may use a later one
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
    """Return the warm capacity, which the metrics describe, and whether instances are still warming up."""
    seconds = max(int(policy.given.get("EstimatedInstanceWarmup") or group.warmup()) for policy in tracking)
    members = group.capacity()
    warm = [
        member
        for member in members
        if member.in_service_since is not None and now >= member.in_service_since + timedelta(seconds=seconds)
    ]
    return len(warm) or len(members), len(warm) < len(members)


def _target(policy: Policy) -> float:
    return float(policy.tracking["TargetValue"])


def _may_scale_in(policy: Policy) -> bool:
    return not policy.tracking.get("DisableScaleIn")
