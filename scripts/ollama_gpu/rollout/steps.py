"""Starts, follows and rolls back the instance refresh of a fleet."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.waiting import wait_until
from ollama_gpu.environment.context import Context
from ollama_gpu.terraform.progress import ProgressView

from .instance_watch import InstanceWatch
from .pending import PendingRollout, pending_rollouts
from .refresh import REVERSIBLE, Refresh, find, newest, reload, under_way

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import RefreshPreferencesTypeDef

EVERY_SECONDS = 2.0
LISTED_SECONDS = 120.0
CONTENTION_WAITS = (2.0, 5.0, 10.0, 20.0)
LOST_INSTANCES = 2
"""Roll back after this many failed instances of the new version. A single failure can be an accident."""


def roll(
    context: Context, outputs: dict[str, Any], view: ProgressView, sleep: Callable[[float], None] = time.sleep
) -> list[Refresh]:
    """Roll every pending fleet, one after the other, so that a bad version does not reach the second fleet.

    Follows a refresh to the same version if one is in progress. Returns the refreshes. Raises UserError with the
    cause if a refresh does not end with Successful. Ctrl-C leaves the refresh running.
    """
    done = []
    for fleet in pending_rollouts(context, outputs):
        running = newest(context.aws, outputs, fleet.fleet)
        if running is None or not running.under_way:
            running = start(context, outputs, fleet)
        elif running.version != fleet.version or running.status in ("Cancelling", "RollbackInProgress"):
            raise refusal(context, running)
        done.append(follow(context, running, view, sleep))
    return done


def refusal(context: Context, running: Refresh) -> UserError:
    """Return the error for a rollout in progress that blocks this command."""
    name = context.environment.name
    return UserError(
        f"A rollout is under way: {running}.",
        f"Follow it with `ollama-gpu rollout follow --env {name}`, or roll it back with "
        f"`ollama-gpu rollout cancel --env {name}`. Then run this command again.",
    )


def start(context: Context, outputs: dict[str, Any], fleet: PendingRollout) -> Refresh:
    """Start a refresh to the newest version. By the group's policy, AWS launches before it terminates."""
    settings = outputs["rollout"]
    watched, firing = _alarms(context.aws, settings["alarm_names"].get(fleet.fleet, []))
    if firing:
        note(f"rollout: ignoring alarms that are already in ALARM: {', '.join(firing)}")
    preferences: RefreshPreferencesTypeDef = {
        "AutoRollback": True,
        "SkipMatching": True,  # keeps instances that already run this version
        "InstanceWarmup": int(settings["warmup_seconds"]),
        "BakeTime": int(settings["bake_seconds"]) if fleet.desired else 0,  # an empty fleet has nothing to observe
    }
    if watched:
        preferences["AlarmSpecification"] = {"Alarms": watched}
    note(f"rollout: {fleet.fleet}: replacing {fleet.stale} of {fleet.desired} instances with version {fleet.version}")
    return _request(context, outputs, fleet, preferences)


def _request(
    context: Context, outputs: dict[str, Any], fleet: PendingRollout, preferences: RefreshPreferencesTypeDef
) -> Refresh:
    """Start the refresh and return it. AWS may list it only later (eventual consistency), so it is found by its id."""
    aws, found = context.aws, list[Refresh]()
    try:
        identifier = _unless_contended(
            lambda: aws.autoscaling.start_instance_refresh(
                AutoScalingGroupName=fleet.group,
                Strategy="Rolling",
                DesiredConfiguration=fleet.desired_configuration,
                Preferences=preferences,
            )
        )["InstanceRefreshId"]
    except ClientError as error:
        running = newest(aws, outputs, fleet.fleet)
        if code_of(error) != "InstanceRefreshInProgress" or running is None:
            raise
        if running.version != fleet.version:
            raise refusal(context, running) from error
        return running  # the SDK repeated a request whose answer was lost

    def listed() -> bool:
        found.extend(filter(None, [find(aws, fleet.fleet, fleet.group, identifier)]))
        return bool(found)

    wait_until(listed, f"the instance refresh {identifier} to be listed", LISTED_SECONDS, every=EVERY_SECONDS)
    return found[0]


def _unless_contended(request: Callable[[], Any]) -> Any:
    """Repeat a request that AWS refuses because another change of the group is pending (ResourceContention)."""
    for wait in CONTENTION_WAITS:
        try:
            return request()
        except ClientError as error:
            if code_of(error) != "ResourceContention":
                raise
        time.sleep(wait)
    return request()


def follow(
    context: Context,
    refresh: Refresh,
    view: ProgressView,
    sleep: Callable[[float], None] = time.sleep,
    expected: str = "Successful",
) -> Refresh:
    """Show the progress of a refresh until it ends. Roll it back if several instances of the new version fail.

    Raises UserError with the cause if it ends with another status than ``expected``, KeyboardInterrupt on Ctrl-C.
    """
    watch = InstanceWatch(context, refresh)
    view.started(f"rollout of {refresh.fleet}")
    outcome, reported = "failed", ""
    try:
        while refresh.under_way:
            if str(refresh) != reported:
                reported = str(refresh)
                view.notice(f"rollout: {reported}")
            watch.update()
            if refresh.status in REVERSIBLE and len(watch.lost) >= LOST_INSTANCES:
                view.notice(f"rollout: {', '.join(watch.lost)} failed; rolling back")
                _request_rollback(context.aws, refresh.group)
            view.tick()
            sleep(EVERY_SECONDS)
            refresh = reload(context.aws, refresh)
        outcome = refresh.status
    except KeyboardInterrupt:
        outcome = "no longer followed"
        name = context.environment.name
        note(f"The rollout continues in AWS. To follow it: ollama-gpu rollout follow --env {name}")
        note(f"To roll it back: ollama-gpu rollout cancel --env {name}")
        raise
    finally:
        view.finished(outcome)
    if refresh.status != expected:
        raise UserError(_failure(refresh, watch), _remedy(context, refresh))
    return refresh


def roll_back(
    context: Context, outputs: dict[str, Any], view: ProgressView, sleep: Callable[[float], None] = time.sleep
) -> list[Refresh]:
    """Roll back every refresh in progress, and follow it until its fleet runs the previous version."""
    rolled_back = []
    for refresh in under_way(context, outputs):
        if refresh.status in REVERSIBLE and not _request_rollback(context.aws, refresh.group):
            continue
        rolled_back.append(follow(context, reload(context.aws, refresh), view, sleep, expected="RollbackSuccessful"))
    return rolled_back


def _failure(refresh: Refresh, watch: InstanceWatch) -> str:
    watch.update()
    meanings = {
        "Successful": "all instances run the new version",
        "RollbackSuccessful": "all instances run the previous version",
        "RollbackFailed": "the rollout failed, and its rollback failed too",
        "Cancelled": "it was cancelled, and the remaining instances run the previous version",
        "Failed": "it failed before all instances were replaced",
    }
    rollout = f"The rollout of {refresh.fleet} to version {refresh.version}"
    reason = f" {refresh.reason.rstrip('.')}." if refresh.reason else ""
    return "\n".join([f"{rollout} ended with {refresh.status}: {meanings[refresh.status]}.{reason}", *watch.causes()])


def _remedy(context: Context, refresh: Refresh) -> str:
    name = context.environment.name
    if refresh.status == "RollbackFailed":
        return f"See the boot steps of each instance with `make status ENV={name}`. Fix the cause, then deploy again."
    return f"Fix the cause, then run `make deploy ENV={name}` again. The previous version still serves."


def _request_rollback(aws: Aws, group: str) -> bool:
    """Request a rollback. Returns False if the refresh has just ended, or can no longer be rolled back."""
    try:
        _unless_contended(lambda: aws.autoscaling.rollback_instance_refresh(AutoScalingGroupName=group))
    except ClientError as error:
        # AWS also refuses while it already rolls the refresh back or cancels it (IrreversibleInstanceRefresh)
        if code_of(error) in ("ActiveInstanceRefreshNotFound", "IrreversibleInstanceRefresh"):
            return False
        raise
    return True


def _alarms(aws: Aws, names: list[str]) -> tuple[list[str], list[str]]:
    """Split alarms into those to watch and those already in ALARM, which would end a refresh at once."""
    if not names:
        return [], []
    found = aws.cloudwatch.describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    firing = {alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM"}
    return sorted({alarm["AlarmName"] for alarm in found} - firing), sorted(firing)
