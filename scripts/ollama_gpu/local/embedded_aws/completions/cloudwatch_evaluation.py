"""Evaluate alarms, including composite alarms, and execute their actions when their state changes.

A metric alarm evaluates its last EvaluationPeriods complete periods. It is in ALARM if at least DatapointsToAlarm of
them breach, where TreatMissingData decides about missing periods. Alarms are evaluated periodically and when they are
described.

Not modelled: anomaly detection, Metrics Insights queries, the extra periods that AWS retrieves beyond the evaluation
range, and EvaluateLowSampleCountPercentile.
Follows: Amazon CloudWatch User Guide, "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data".
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.utils import utcnow

from .cloudwatch_math import UnsupportedExpression
from .cloudwatch_metrics import DEFAULT_PERIOD_SECONDS, Query, align, period_of, values_of
from .cloudwatch_metrics import summarize as summarize
from .cloudwatch_rules import alarms_named_in, holds

log = logging.getLogger(__name__)

KEEP = timedelta(hours=24)  # age of metric data; moto would keep it for ever
TRIM_EVERY = timedelta(hours=1)  # trimming makes the index start again

BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
}

# The handler of an alarm action by the service in its ARN. Auto Scaling adds the one for scaling policies.
action_handlers: dict[str, Callable[[Any, Any, str, dict[str, Any]], None]] = {}


def evaluate_everything() -> None:
    """Evaluate the alarms of every account and region, and drop metric data older than a day."""
    for regions in list(cloudwatch_backends.values()):
        for backend in list(regions.values()):
            if backend.metric_data and backend.metric_data[0].timestamp < utcnow() - KEEP - TRIM_EVERY:
                backend.metric_data = [each for each in backend.metric_data if each.timestamp >= utcnow() - KEEP]
            evaluate(backend)


def evaluate(backend: Any, now: datetime | None = None) -> None:
    """Evaluate every alarm of a backend: first metric alarms, then composite alarms."""
    now = now or utcnow()
    for alarm in list(backend.alarms.values()):
        if alarm.rule is None and not _held(alarm):
            state, reason = _metric_state(backend, alarm, now)
            _change(backend, alarm, state, reason)
    composites = [alarm for alarm in backend.alarms.values() if alarm.rule is not None and not _held(alarm)]
    for _ in range(len(composites)):  # a composite alarm may reference others: repeat for the longest possible chain
        changed = [_change(backend, alarm, *_composite_state(backend, alarm)) for alarm in composites]
        if not any(changed):
            break


def hold(alarm: Any) -> None:
    """Keep a state set by SetAlarmState for one period, as on AWS until the next evaluation."""
    period = DEFAULT_PERIOD_SECONDS if alarm.rule is not None else period_of(_queries(alarm))
    alarm.held_until = time.monotonic() + period


def act(backend: Any, alarm: Any, old_state: str) -> None:
    """Execute the alarm's actions for its current state. Logs an action without a handler."""
    if not alarm.actions_enabled:
        return
    actions = {
        "ALARM": alarm.alarm_actions,
        "OK": alarm.ok_actions,
        "INSUFFICIENT_DATA": alarm.insufficient_data_actions,
    }[alarm.state_value]
    for arn in actions or []:
        handler = action_handlers.get(arn.split(":")[2] if arn.count(":") >= 2 else "")
        if handler is None:
            log.warning("alarm %s: no handler for the action %s", alarm.name, arn)
            continue
        try:
            handler(backend, alarm, arn, notification(backend, alarm, old_state))
        except Exception:
            log.exception("alarm %s: the action %s failed", alarm.name, arn)


def notification(backend: Any, alarm: Any, old_state: str) -> dict[str, Any]:
    """Return the JSON document with which CloudWatch notifies of a state change."""
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.description,
        "AWSAccountId": backend.account_id,
        "NewStateValue": alarm.state_value,
        "NewStateReason": alarm.state_reason,
        "StateChangeTime": alarm.state_updated_timestamp.isoformat(timespec="milliseconds") + "+0000",
        "Region": backend.region_name,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": old_state,
    }
    if alarm.rule is not None:
        return {**message, "AlarmRule": alarm.rule}
    return {
        **message,
        "Trigger": {
            "MetricName": alarm.metric_name,
            "Namespace": alarm.namespace,
            "Statistic": alarm.statistic or alarm.extended_statistic,
            "Dimensions": [{"name": each.name, "value": each.value} for each in alarm.dimensions],
            "Period": alarm.period,
            "EvaluationPeriods": alarm.evaluation_periods,
            "ComparisonOperator": alarm.comparison_operator,
            "Threshold": alarm.threshold,
            "TreatMissingData": alarm.treat_missing_data or "missing",
        },
    }


def _publish_to_sns(backend: Any, alarm: Any, arn: str, message: dict[str, Any]) -> None:
    from moto.sns.models import sns_backends

    subject = f'{alarm.state_value}: "{alarm.name}" in {backend.region_name}'[:100]  # SNS's limit
    sns_backends[backend.account_id][arn.split(":")[3]].publish(json.dumps(message), arn=arn, subject=subject)


action_handlers["sns"] = _publish_to_sns


def _held(alarm: Any) -> bool:
    return bool(getattr(alarm, "held_until", 0.0) > time.monotonic())


def _change(backend: Any, alarm: Any, state: str, reason: str) -> bool:
    old = alarm.state_value
    if state == old:
        return False
    alarm.update_state(reason, "{}", state)
    act(backend, alarm, old)
    return True


def _composite_state(backend: Any, alarm: Any) -> tuple[str, str]:
    def state_of(name: str) -> str | None:
        child = backend.alarms.get(name.split(":alarm:")[-1])
        return child.state_value if child else None

    state = "ALARM" if holds(alarm.rule, state_of) else "OK"
    firing = sorted(name for name in alarms_named_in(alarm.rule) if state_of(name) == "ALARM")
    return state, f"Alarms of the rule in ALARM: {', '.join(firing) or 'none'}"


def _metric_state(backend: Any, alarm: Any, now: datetime) -> tuple[str, str]:
    compare = BREACHES.get(alarm.comparison_operator)
    if compare is None:
        return alarm.state_value, alarm.state_reason
    queries, periods = _queries(alarm), int(alarm.evaluation_periods)
    period, needed = period_of(queries), int(alarm.datapoints_to_alarm or periods)
    end = align(now, period)
    watched = next(query.id for query in queries if query.returned)
    try:
        values = [
            values_of(backend, queries, end - timedelta(seconds=period * (age + 1)), period)[watched]
            for age in range(periods)
        ]
    except UnsupportedExpression as error:
        return "INSUFFICIENT_DATA", f"The embedded AWS cannot evaluate the alarm: {error}"

    present = [value for value in values if value is not None]
    missing = len(values) - len(present)
    treatment = alarm.treat_missing_data or "missing"
    breaching = sum(compare(value, float(alarm.threshold)) for value in present)
    limit = f"{alarm.comparison_operator} {alarm.threshold}"
    summary = f"{breaching} of {len(present)} datapoints are {limit}, {missing} missing"
    if breaching >= needed or (treatment == "breaching" and breaching + missing >= needed):
        return "ALARM", f"Threshold crossed: {summary}"
    if not present and treatment == "missing":
        return "INSUFFICIENT_DATA", f"Insufficient data: {summary}"
    if treatment == "ignore" and breaching + missing >= needed:
        return alarm.state_value, alarm.state_reason  # the missing data could decide: keep the state
    return "OK", f"Threshold not crossed: {summary}"


def _queries(alarm: Any) -> list[Query]:
    if not alarm.metric_data_queries:
        metric = (alarm.namespace, alarm.metric_name, _pairs(alarm.dimensions))
        statistic = alarm.statistic or alarm.extended_statistic
        return [Query("metric", metric, statistic, alarm.unit, int(alarm.period))]
    queries = []
    for each in alarm.metric_data_queries:
        returned = str(each.return_data).lower() != "false"
        if each.metric_stat:
            stat, of = each.metric_stat, each.metric_stat.metric
            metric = (of.namespace, of.metric_name, _pairs(of.dimensions))
            queries.append(Query(each.id, metric, stat.stat, stat.unit, int(stat.period), returned=returned))
        else:
            period = int(each.period) if each.period else None
            queries.append(Query(each.id, expression=each.expression, period=period, returned=returned))
    return queries


def _pairs(dimensions: list[Any]) -> frozenset[tuple[str, str]]:
    return frozenset((each.name, each.value) for each in dimensions)
