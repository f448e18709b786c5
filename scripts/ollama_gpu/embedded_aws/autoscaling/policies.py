"""Scaling policies: kept as they were put, with the alarms of target tracking, and what executing one does."""

from __future__ import annotations

import math
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends

from . import activities
from .errors import ScalingActivityInProgress, ValidationError
from .group import Group, Json
from .policy_metrics import PREDEFINED, alarm_query, metric_queries
from .region import Region

SIMPLE = "SimpleScaling"
STEP = "StepScaling"
TARGET_TRACKING = "TargetTrackingScaling"
PREDICTIVE = "PredictiveScaling"

ADJUSTMENTS = ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity")

# As the alarms that AWS makes: out after 3 minutes above the target, in after 15 minutes below 90 % of it.
HIGH_PERIODS = 3
LOW_PERIODS = 15
LOW_SHARE = 0.9


@dataclass
class Policy:
    """A scaling policy. ``given`` is the request, in the API's own shape."""

    name: str
    group: str
    arn: str
    kind: str
    given: Json
    alarms: list[tuple[str, str]] = field(default_factory=list)  # name, ARN

    @property
    def enabled(self) -> bool:
        return bool(self.given.get("Enabled", True))

    @property
    def tracking(self) -> Json:
        return dict(self.given.get("TargetTrackingConfiguration") or {})

    def describe(self, region: Region) -> Json:
        kept = {
            name: self.given.get(name)
            for name in (
                "AdjustmentType",
                "MinAdjustmentStep",
                "MinAdjustmentMagnitude",
                "ScalingAdjustment",
                "MetricAggregationType",
                "EstimatedInstanceWarmup",
                "TargetTrackingConfiguration",
                "PredictiveScalingConfiguration",
                "Cooldown",
            )
        }
        return kept | {
            "AutoScalingGroupName": self.group,
            "PolicyName": self.name,
            "PolicyARN": self.arn,
            "PolicyType": self.kind,
            "StepAdjustments": self.given.get("StepAdjustments") or [],
            "Enabled": self.enabled,
            "Alarms": [{"AlarmName": name, "AlarmARN": arn} for name, arn in self.all_alarms(region)],
        }

    def all_alarms(self, region: Region) -> list[tuple[str, str]]:
        """Its own alarms, or for a step or simple policy those that name it as their action."""
        if self.kind == TARGET_TRACKING:
            return self.alarms
        alarms = cloudwatch_backends[region.account][region.name].alarms.values()
        return [(alarm.name, alarm.alarm_arn) for alarm in alarms if self.arn in (alarm.alarm_actions or [])]

    def remove_alarms(self, region: Region) -> None:
        alarms = cloudwatch_backends[region.account][region.name].alarms
        for name, _ in self.alarms:
            alarms.pop(name, None)
        self.alarms = []


def put(region: Region, group: Group, given: Json) -> Policy:
    """Create a policy or replace it. Raises ValidationError for what AWS refuses too."""
    name, kind = given["PolicyName"], given.get("PolicyType") or SIMPLE
    _check(kind, given)
    existing = group.policies.get(name)
    prefix = f"arn:{region.partition}:autoscaling:{region.name}:{region.account}:scalingPolicy"
    arn = existing.arn if existing else f"{prefix}:{uuid.uuid4()}:autoScalingGroupName/{group.name}:policyName/{name}"
    kept = {key: value for key, value in given.items() if key not in ("AutoScalingGroupName", "PolicyName")}
    if kind == SIMPLE:
        kept.setdefault("Cooldown", None)
    elif kind == STEP:
        kept.setdefault("MetricAggregationType", "Average")
    elif kind == TARGET_TRACKING:
        kept["TargetTrackingConfiguration"] = _normal(kept["TargetTrackingConfiguration"])
    if existing:
        existing.remove_alarms(region)
    policy = Policy(name, group.name, arn, kind, kept)
    if kind == TARGET_TRACKING:
        _put_alarms(region, group, policy)
    group.policies[name] = policy
    return policy


def _check(kind: str, given: Json) -> None:
    if kind in (SIMPLE, STEP):
        if given.get("AdjustmentType") not in ADJUSTMENTS:
            raise ValidationError(f"AdjustmentType must be one of {', '.join(ADJUSTMENTS)}.")
        if kind == SIMPLE and given.get("ScalingAdjustment") is None:
            raise ValidationError("ScalingAdjustment must be specified for policy type SimpleScaling")
        if kind == STEP and not given.get("StepAdjustments"):
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
    elif kind != PREDICTIVE:
        raise ValidationError(f"Invalid policy type {kind}.")


def _normal(tracking: Json) -> Json:
    """The configuration as AWS returns it."""
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
    """A policy by its name in a group, or by its ARN. Raises ValidationError if there is none."""
    for group in region.groups.values():
        if group_name is None or group.name == group_name:
            for policy in group.policies.values():
                if name_or_arn in (policy.arn, policy.name if group_name else None):
                    return group, policy
    raise ValidationError(f"The scaling policy {name_or_arn} was not found.")


def execute(
    group: Group,
    policy: Policy,
    now: datetime,
    cause: str,
    *,
    honor_cooldown: bool = False,
    metric: float | None = None,
    breach: float | None = None,
) -> None:
    """Change the desired capacity as a simple or step policy says, within the group's bounds.

    Raises ValidationError for other kinds and for a step policy without the metric's value, and
    ScalingActivityInProgress while a cooldown that is to be honored lasts.
    """
    if policy.kind == SIMPLE:
        cooldown = policy.given.get("Cooldown")
        seconds = group.default_cooldown if cooldown is None else int(cooldown)
        if honor_cooldown and group.scaled_at is not None and now < group.scaled_at + timedelta(seconds=seconds):
            raise ScalingActivityInProgress("A scaling activity is in progress: the cooldown period is not over.")
        adjustment = int(policy.given["ScalingAdjustment"])
    elif policy.kind == STEP:
        if metric is None or breach is None:
            raise ValidationError("MetricValue and BreachThreshold are required for a step scaling policy.")
        adjustment = _step(policy.given["StepAdjustments"], metric - breach)
    else:
        raise ValidationError(f"A policy of type {policy.kind} cannot be executed.")
    desired = adjusted(
        group.desired_capacity,
        policy.given["AdjustmentType"],
        adjustment,
        int(policy.given.get("MinAdjustmentMagnitude") or policy.given.get("MinAdjustmentStep") or 0),
    )
    desired = max(group.min_size, min(group.max_size, desired))
    if desired != group.desired_capacity:
        group.scaled_at = now
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
    """The capacity after an adjustment.

    A percentage is rounded towards zero, but to at least one instance ("Scaling adjustment types").
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
    """What an alarm that names a policy as its action does; target tracking watches its metric itself."""
    group, policy = find(region, None, policy_arn)
    if policy.kind == TARGET_TRACKING or not policy.enabled or not group.allows("AlarmNotification"):
        return
    cause = activities.alarm_execution(alarm.name, policy.name, now)
    threshold = float(alarm.threshold)
    metric = threshold if value is None else value
    try:
        execute(group, policy, now, cause, honor_cooldown=True, metric=metric, breach=threshold)
    except ScalingActivityInProgress:
        return
