"""Starting, cancelling and turning round a refresh, and what AWS refuses of it."""

from __future__ import annotations

from datetime import datetime

from moto.cloudwatch.models import cloudwatch_backends

from . import template
from .errors import (
    ActiveInstanceRefreshNotFound,
    InstanceRefreshInProgress,
    IrreversibleInstanceRefresh,
    ValidationError,
)
from .group import Configuration, Group, Json
from .refresh import BAKING, CANCELLING, IN_PROGRESS, PENDING, Refresh, active, unmark
from .refresh_machine import begin_rollback
from .refresh_pace import DEFAULT_CHECKPOINT_DELAY
from .region import Region

_DEFAULT_MIN_HEALTHY = 90
_DEFAULT_MAX_HEALTHY = 100
_ALIASES = ("$latest", "$default")


def start(region: Region, group: Group, given: Json, now: datetime) -> Refresh:
    """Begin a refresh. Raises InstanceRefreshInProgress, or ValidationError for what AWS refuses too."""
    if active(group) is not None:
        raise InstanceRefreshInProgress(
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."
        )
    if (given.get("Strategy") or "Rolling") != "Rolling":
        raise ValidationError("The embedded AWS refreshes by the strategy Rolling only.")
    wanted = given.get("DesiredConfiguration") or {}
    desired = None
    if wanted:
        desired = template.configuration(
            region, wanted.get("LaunchTemplate"), wanted.get("MixedInstancesPolicy"), group.configuration
        )
    preferences = _preferences(region, group, given.get("Preferences") or {}, desired)
    refresh = Refresh(group.name, preferences, desired, now)
    group.refreshes.insert(0, refresh)
    return refresh


def cancel(group: Group, now: datetime) -> Refresh:
    """Stop a refresh: what is in transition finishes, nothing is undone."""
    refresh = active(group)
    if refresh is None or refresh.status == CANCELLING:
        raise ActiveInstanceRefreshNotFound(
            f"No in progress or pending Instance Refresh found for Auto Scaling group {group.name}"
        )
    refresh.status = CANCELLING
    refresh.reason = "Cancelled by user."
    refresh.progress_at = now
    unmark(group)
    return refresh


def roll_back(region: Region, group: Group, now: datetime) -> Refresh:
    """Turn a running refresh round, on request."""
    refresh = active(group)
    if refresh is None or refresh.status not in (PENDING, IN_PROGRESS, BAKING):
        raise ActiveInstanceRefreshNotFound(
            f"No in progress Instance Refresh found for Auto Scaling group {group.name}"
        )
    own = str(group.configuration.template.get("Version") or "$Default").lower()
    if refresh.desired is None or own in _ALIASES:
        raise IrreversibleInstanceRefresh(
            "The instance refresh has no desired configuration, or the group's launch template has no numbered "
            "version: it cannot be rolled back."
        )
    begin_rollback(region, group, refresh, "Rollback requested by user.", now)
    return refresh


def _preferences(region: Region, group: Group, given: Json, desired: Configuration | None) -> Json:
    policy = group.maintenance_policy or {}
    low = given.get("MinHealthyPercentage")
    high = given.get("MaxHealthyPercentage")
    low = int(policy.get("MinHealthyPercentage", _DEFAULT_MIN_HEALTHY) if low is None else low)
    high = int(policy.get("MaxHealthyPercentage", _DEFAULT_MAX_HEALTHY) if high is None else high)
    if not 0 <= low <= 100 or not 100 <= high <= 200 or high - low > 100:
        raise ValidationError(
            f"MinHealthyPercentage {low} must be 0 to 100, MaxHealthyPercentage {high} 100 to 200, "
            "and they must not differ by more than 100."
        )
    if given.get("AutoRollback"):
        if desired is None:
            raise ValidationError("AutoRollback cannot be used without a DesiredConfiguration.")
        for configuration in (desired, group.configuration):
            if str(configuration.template.get("Version") or "$Default").lower() in _ALIASES:
                raise ValidationError(
                    "AutoRollback cannot be used when a launch template version is $Latest or $Default; "
                    "specify a numbered version for the group and for the desired configuration."
                )
    checkpoints = given.get("CheckpointPercentages") or []
    if sorted(set(checkpoints)) != list(checkpoints) or any(not 0 < each <= 100 for each in checkpoints):
        raise ValidationError("CheckpointPercentages must be ascending, unique and from 1 to 100.")
    known = cloudwatch_backends[region.account][region.name].alarms
    for name in (given.get("AlarmSpecification") or {}).get("Alarms") or []:
        if name not in known:
            raise ValidationError(f"The alarm {name} does not exist.")
    kept = {"SkipMatching": False, "AutoRollback": False, **given}
    kept |= {"MinHealthyPercentage": low, "MaxHealthyPercentage": high}
    kept.setdefault("ScaleInProtectedInstances", "Wait")
    kept.setdefault("StandbyInstances", "Wait")
    if checkpoints:
        kept.setdefault("CheckpointDelay", DEFAULT_CHECKPOINT_DELAY)
    return kept
