"""Start a fleet's refresh, follow it to its end, turn it round."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView

from .due import Due, due
from .refresh import REVERSIBLE, Refresh, again, newest, under_way
from .witness import Witness

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import RefreshPreferencesTypeDef

EVERY_SECONDS = 2.0
LOST_INSTANCES = 2
"""Instances of the new version that boot and fail, after which more of the same is no use. One can be an accident."""


def roll(
    context: Context, outputs: dict[str, Any], view: ProgressView, sleep: Callable[[float], None] = time.sleep
) -> list[Refresh]:
    """Roll every fleet that is due, one after the other, so that a version that fails people never reaches the rest.

    A refresh to the same version that goes on already is followed. Returns what was rolled. Raises UserError with the
    cause when one ends otherwise than well: its fleet is then on the version before. Ctrl-C leaves it running.
    """
    done = []
    for fleet in due(context, outputs):
        running = newest(context.aws, outputs, fleet.fleet)
        if running is None or not running.under_way:
            running = start(context, outputs, fleet)
        elif running.version != fleet.version or running.status in ("Cancelling", "RollbackInProgress"):
            raise refusal(context, running)
        done.append(follow(context, running, view, sleep))
    return done


def refusal(context: Context, running: Refresh) -> UserError:
    """A rollout goes on that is not the one that is wanted."""
    name = context.environment.name
    return UserError(
        f"A rollout is under way: {running}.",
        f"Follow it to its end with `ollama-gpu rollout follow --env {name}`, or take it back with "
        f"`ollama-gpu rollout cancel --env {name}`; then run this again.",
    )


def start(context: Context, outputs: dict[str, Any], fleet: Due) -> Refresh:
    """Start a refresh to the fleet's newest version. Successors come before anything goes: the group's own policy."""
    given = outputs["rollout"]
    quiet, ringing = _alarms(context.aws, given["alarm_names"].get(fleet.fleet, []))
    if ringing:
        note(f"rollout: {', '.join(ringing)} rings already and is not watched")
    preferences: RefreshPreferencesTypeDef = {
        "AutoRollback": True,
        "SkipMatching": True,  # what an earlier try has brought over stays
        "InstanceWarmup": int(given["warmup_seconds"]),
        "BakeTime": int(given["bake_seconds"]) if fleet.desired else 0,  # an empty fleet has nothing to show
    }
    if quiet:
        preferences["AlarmSpecification"] = {"Alarms": quiet}
    note(f"rollout: {fleet.fleet}: {fleet.stale} of {fleet.desired} instances go to version {fleet.version}")
    context.aws.autoscaling.start_instance_refresh(
        AutoScalingGroupName=fleet.group,
        Strategy="Rolling",
        DesiredConfiguration=fleet.wanted,
        Preferences=preferences,
    )
    started = newest(context.aws, outputs, fleet.fleet)
    assert started is not None  # noqa: S101, just made
    return started


def follow(
    context: Context,
    refresh: Refresh,
    view: ProgressView,
    sleep: Callable[[float], None] = time.sleep,
    wanted: str = "Successful",
) -> Refresh:
    """Show a refresh until it ends as ``wanted``; turn it round when instances of the new version keep dying.

    Raises UserError with the cause when it ends otherwise, KeyboardInterrupt when the person stops following.
    """
    witness = Witness(context, refresh)
    view.started(f"rollout of {refresh.fleet}")
    outcome, said = "failed", ""
    try:
        while refresh.under_way:
            if str(refresh) != said:
                said = str(refresh)
                view.notice(f"rollout: {said}")
            witness.look()
            if refresh.status in REVERSIBLE and len(witness.lost) >= LOST_INSTANCES:
                view.notice(f"rollout: {', '.join(witness.lost)} failed; going back")
                _turn_round(context.aws, refresh.group)
            view.tick()
            sleep(EVERY_SECONDS)
            refresh = again(context.aws, refresh)
        outcome = refresh.status
    except KeyboardInterrupt:
        outcome = "no longer followed"
        name = context.environment.name
        note(f"The rollout goes on without this command. Follow it: ollama-gpu rollout follow --env {name}")
        note(f"Take it back: ollama-gpu rollout cancel --env {name}")
        raise
    finally:
        view.finished(outcome)
    if refresh.status != wanted:
        raise UserError(_failure(refresh, witness), _remedy(context, refresh))
    return refresh


def take_back(
    context: Context, outputs: dict[str, Any], view: ProgressView, sleep: Callable[[float], None] = time.sleep
) -> list[Refresh]:
    """Turn round every refresh that goes on and follow it until its fleet is on the version before."""
    back = []
    for refresh in under_way(context, outputs):
        if refresh.status in REVERSIBLE and not _turn_round(context.aws, refresh.group):
            continue
        back.append(follow(context, again(context.aws, refresh), view, sleep, wanted="RollbackSuccessful"))
    return back


def _failure(refresh: Refresh, witness: Witness) -> str:
    witness.look()
    outcomes = {
        "Successful": "has gone through",
        "RollbackSuccessful": "was taken back; every instance is on the version before",
        "RollbackFailed": "failed, and so did going back",
        "Cancelled": "was cancelled half-way; the rest of the instances are on the version before",
        "Failed": "failed half-way",
    }
    said = f"The rollout of {refresh.fleet} to version {refresh.version} {outcomes[refresh.status]}."
    reason = f" {refresh.reason.rstrip('.')}." if refresh.reason else ""
    return "\n".join([said + reason, *witness.causes()])


def _remedy(context: Context, refresh: Refresh) -> str:
    name = context.environment.name
    if refresh.status == "RollbackFailed":
        return f"See the instances' steps with: make status ENV={name}. Mend the cause and deploy again."
    return f"Mend the cause and run `make deploy ENV={name}` again; what served before still serves."


def _turn_round(aws: Aws, group: str) -> bool:
    """Ask AWS to go back; False when the refresh has just ended."""
    try:
        aws.autoscaling.rollback_instance_refresh(AutoScalingGroupName=group)
    except ClientError as error:
        if code_of(error) in ("ActiveInstanceRefreshNotFound", "ActiveInstanceRefreshNotFoundFault"):
            return False
        raise
    return True


def _alarms(aws: Aws, names: list[str]) -> tuple[list[str], list[str]]:
    """Of these alarms, those that are quiet and those that ring: one that rings would end a refresh at once."""
    if not names:
        return [], []
    found = aws.cloudwatch.describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    ringing = {alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM"}
    return sorted({alarm["AlarmName"] for alarm in found} - ringing), sorted(ringing)
