"""Scaling policies of the types StepScaling and TargetTrackingScaling: store, describe, execute."""

from __future__ import annotations

import math
import uuid
from datetime import datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from ollama_gpu.core.target_tracking import HIGH_PERIODS, LOW_PERIODS, LOW_SHARE

from . import activities
from .errors import ValidationError
from .model import Group, Json, Policy
from .policy_metrics import PREDEFINED, alarm_query, metric_queries
from .region import Region

STEP = "StepScaling"
TARGET_TRACKING = "TargetTrackingScaling"

ADJUSTMENTS = ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")

_DESCRIBED = (
    "AdjustmentType",
    "MinAdjustmentStep",
    "MinAdjustmentMagnitude",
    "MetricAggregationType",
    "EstimatedInstanceWarmup",
    "TargetTrackingConfiguration",
)


def describe(region: Region, policy: Policy) -> Json:
    """Describe a policy as DescribePolicies returns it."""
    return {name: policy.given.get(name) for name in _DESCRIBED} | {
        "AutoScalingGroupName": policy.group,
        "PolicyName": policy.name,
        "PolicyARN": policy.arn,
        "PolicyType": policy.kind,
        "StepAdjustments": policy.given.get("StepAdjustments") or [],
        "Enabled": policy.enabled,
        "Alarms": [{"AlarmName": name, "AlarmARN": arn} for name, arn in _alarms(region, policy)],
    }


def _alarms(region: Region, policy: Policy) -> list[tuple[str, str]]:
    """Return a target tracking policy's own alarms, or the alarms that have a step policy as their action."""
    if policy.kind == TARGET_TRACKING:
        return policy.alarms
    alarms = cloudwatch_backends[region.account][region.name].alarms.values()
    return [(alarm.name, alarm.alarm_arn) for alarm in alarms if policy.arn in (alarm.alarm_actions or [])]


def remove_alarms(region: Region, policy: Policy) -> None:
    """Delete the alarms that a target tracking policy created."""
    alarms = cloudwatch_backends[region.account][region.name].alarms
    for name, _ in policy.alarms:
        alarms.pop(name, None)
    policy.alarms = []


def put(region: Region, group: Group, given: Json) -> Policy:
    """Create or replace a policy. Raises ValidationError if AWS would reject it, or for another policy type."""
    name, kind = given["PolicyName"], given.get("PolicyType") or "SimpleScaling"
    _check(kind, given)
    existing = group.policies.get(name)
    prefix = f"arn:{region.partition}:autoscaling:{region.name}:{region.account}:scalingPolicy"
    arn = existing.arn if existing else f"{prefix}:{uuid.uuid4()}:autoScalingGroupName/{group.name}:policyName/{name}"
    kept = {key: value for key, value in given.items() if key not in ("AutoScalingGroupName", "PolicyName")}
    if kind == STEP:
        kept.setdefault("MetricAggregationType", "Average")
    else:
        kept["TargetTrackingConfiguration"] = _normal(kept["TargetTrackingConfiguration"])
    if existing:
        remove_alarms(region, existing)
    policy = Policy(name, group.name, arn, kind, kept)
    if kind == TARGET_TRACKING:
        _put_alarms(region, group, policy)
    group.policies[name] = policy
    return policy


def _check(kind: str, given: Json) -> None:
    if kind == STEP:
        if given.get("AdjustmentType") not in ADJUSTMENTS:
            raise ValidationError(f"AdjustmentType must be one of {', '.join(ADJUSTMENTS)}.")
        if not given.get("StepAdjustments"):
            raise ValidationError("At least one StepAdjustment must be specified for policy type StepScaling")
    elif kind == TARGET_TRACKING:
        tracking = given.get("TargetTrackingConfiguration")
        if not tracking:
            raise ValidationError("TargetTrackingConfiguration must be specified for policy type TargetTrackingScaling")
        predefined = tracking.get("PredefinedMetricSpecification")
        if bool(predefined) == bool(tracking.get("CustomizedMetricSpecification")):
            raise ValidationError("Exactly one of predefined and customized metric specification must be given.")
        if predefined:
            label = predefined.get("ResourceLabel") or ""
            if predefined["PredefinedMetricType"] == "ALBRequestCountPerTarget" and "/targetgroup/" not in label:
                raise ValidationError("ResourceLabel must be specified for ALBRequestCountPerTarget")
            if predefined["PredefinedMetricType"] not in PREDEFINED:
                raise ValidationError(f"Unknown PredefinedMetricType {predefined['PredefinedMetricType']}.")
    else:
        raise ValidationError(f"The embedded AWS supports the policy types {STEP} and {TARGET_TRACKING}, not {kind}.")


def _normal(tracking: Json) -> Json:
    """Return the configuration with the defaults that AWS fills in."""
    normal = {"DisableScaleIn": False, **tracking}
    customized = normal.get("CustomizedMetricSpecification")
    if customized and customized.get("Metrics"):
        queries = [{"ReturnData": True, **query} for query in customized["Metrics"]]
        normal["CustomizedMetricSpecification"] = customized | {"Metrics": queries}
    return normal


def _put_alarms(region: Region, group: Group, policy: Policy) -> None:
    tracking = policy.tracking
    target = float(tracking["TargetValue"])
    wanted = [("AlarmHigh", "GreaterThanThreshold", target, HIGH_PERIODS)]
    if not tracking["DisableScaleIn"]:
        wanted.append(("AlarmLow", "LessThanThreshold", target * LOW_SHARE, LOW_PERIODS))
    backend = cloudwatch_backends[region.account][region.name]
    for kind, comparison, threshold, periods in wanted:
        name = f"TargetTracking-{group.name}-{kind}-{uuid.uuid4()}"
        alarm = backend.put_metric_alarm(
            name=name,
            namespace=None,
            metric_name=None,
            metric_data_queries=[alarm_query(query) for query in metric_queries(group, tracking)],
            comparison_operator=comparison,
            evaluation_periods=periods,
            period=None,
            threshold=threshold,
            statistic=None,
            description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
            dimensions=[],
            alarm_actions=[policy.arn],
        )
        policy.alarms.append((name, str(alarm.alarm_arn)))


def find(region: Region, group_name: str | None, name_or_arn: str) -> tuple[Group, Policy]:
    """Find a policy by its name in a group, or by its ARN. Raises ValidationError if it does not exist."""
    for group in region.groups.values():
        if group_name is None or group.name == group_name:
            for policy in group.policies.values():
                if name_or_arn in (policy.arn, policy.name if group_name else None):
                    return group, policy
    raise ValidationError(f"The scaling policy {name_or_arn} was not found.")


def execute(group: Group, policy: Policy, cause: str, *, metric: float, breach: float) -> None:
    """Change the desired capacity by a step policy, within the group's bounds.

    ``metric`` is the value that raised the alarm, ``breach`` the alarm's threshold.
    """
    desired = adjusted(
        group.desired_capacity,
        policy.given["AdjustmentType"],
        _step(policy.given["StepAdjustments"], metric - breach),
        int(policy.given.get("MinAdjustmentMagnitude") or policy.given.get("MinAdjustmentStep") or 0),
    )
    desired = max(group.min_size, min(group.max_size, desired))
    if desired != group.desired_capacity:
        group.resize(desired, cause)


def _step(steps: list[Json], over: float) -> int:
    for step in steps:
        lower = step.get("MetricIntervalLowerBound")
        upper = step.get("MetricIntervalUpperBound")
        above = lower is None or over >= float(lower)
        below = upper is None or over < float(upper)
        if above and below:
            return int(step["ScalingAdjustment"])
    return 0


def adjusted(capacity: int, kind: str, adjustment: int, at_least: int = 0) -> int:
    """Return the capacity after an adjustment.

    A percentage is rounded towards zero, but to at least one instance.
    Follows: Amazon EC2 Auto Scaling User Guide, "Scaling adjustment types".
    """
    if kind == "ExactCapacity":
        return adjustment
    change = adjustment
    if kind == "PercentChangeInCapacity":
        exact = capacity * adjustment / 100
        change = math.trunc(exact) or (math.copysign(1, exact) if exact else 0)  # type: ignore[assignment]
    if change and abs(change) < at_least:
        change = at_least if change > 0 else -at_least
    return max(0, int(capacity + change))


def on_alarm(region: Region, policy_arn: str, alarm: Any, value: float | None, now: datetime) -> None:
    """Execute the step policy that an alarm has as its action. Target tracking evaluates its metric itself."""
    group, policy = find(region, None, policy_arn)
    if policy.kind != STEP or not policy.enabled or not group.allows("AlarmNotification"):
        return
    threshold = float(alarm.threshold)
    cause = activities.alarm_execution(alarm.name, policy.name, now)
    execute(group, policy, cause, metric=threshold if value is None else value, breach=threshold)
