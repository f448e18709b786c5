"""Start, cancel and roll back an instance refresh, and reject the requests that AWS rejects."""

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
from .model import Configuration, Group, Json, Refresh, RefreshStatus
from .refresh import active, unmark
from .refresh_state_machine import begin_rollback
from .region import Region

_DEFAULT_MIN_HEALTHY = 90
_DEFAULT_MAX_HEALTHY = 100
_ALIASES = ("$latest", "$default")


def start(region: Region, group: Group, given: Json, now: datetime) -> Refresh:
    """Create a refresh. Raises InstanceRefreshInProgress, or ValidationError if AWS would reject the request."""
    if active(group) is not None:
        raise InstanceRefreshInProgress(
            "An Instance Refresh is already in progress and blocks the execution of this Instance Refresh."
        )
    if (given.get("Strategy") or "Rolling") != "Rolling":
        raise ValidationError("The embedded AWS supports only the strategy Rolling.")
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
    """Stop a refresh. Replacements that have begun finish; nothing is rolled back."""
    refresh = active(group)
    if refresh is None or refresh.status == RefreshStatus.CANCELLING:
        raise ActiveInstanceRefreshNotFound(
            f"No in progress or pending Instance Refresh found for Auto Scaling group {group.name}"
        )
    refresh.status = RefreshStatus.CANCELLING
    refresh.reason = "Cancelled by user."
    refresh.progress_at = now
    unmark(group)
    return refresh


def roll_back(region: Region, group: Group, now: datetime) -> Refresh:
    """Roll back a running refresh."""
    refresh = active(group)
    if refresh is None or refresh.status not in (
        RefreshStatus.PENDING,
        RefreshStatus.IN_PROGRESS,
        RefreshStatus.BAKING,
    ):
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
    if given.get("CheckpointPercentages"):
        raise ValidationError("The embedded AWS does not support checkpoints of an instance refresh.")
    known = cloudwatch_backends[region.account][region.name].alarms
    for name in (given.get("AlarmSpecification") or {}).get("Alarms") or []:
        if name not in known:
            raise ValidationError(f"The alarm {name} does not exist.")
    kept = {"SkipMatching": False, "AutoRollback": False, **given}
    kept |= {"MinHealthyPercentage": low, "MaxHealthyPercentage": high}
    kept.setdefault("ScaleInProtectedInstances", "Wait")
    kept.setdefault("StandbyInstances", "Wait")
    return kept
