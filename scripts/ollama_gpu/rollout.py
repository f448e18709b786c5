"""Bring a fleet's running instances to the newest launch template version: one instance refresh a fleet.

Terraform makes the version, this starts the refresh to it by number and follows it to its end (docs/decisions/0005).
AWS rolls back by itself when a watched alarm rings or nothing has moved for an hour; that instances of the new version
die one after another is seen here, and turned round at once. Who stops following stops nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ollama_gpu import timeline
from ollama_gpu.aws import Aws, code_of
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import DesiredConfigurationTypeDef, RefreshPreferencesTypeDef

EVERY_SECONDS = 2.0
LOST_INSTANCES = 2
"""Instances of the new version that boot and fail, after which more of the same is no use. One can be an accident."""

UNDER_WAY = ("Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress")
REVERSIBLE = ("Pending", "InProgress", "Baking")

_INSTANCE = re.compile(r"\bi-[0-9a-f]+\b")


@dataclass(frozen=True)
class Due:
    """A fleet with instances, or a group, that are not of the newest template version; ``desired`` counts instances."""

    fleet: str
    group: str
    version: str
    stale: int
    desired: int
    policy: dict[str, Any]

    @property
    def wanted(self) -> DesiredConfigurationTypeDef:
        """What the group is to become: all that it is, of the new version."""
        template = self.policy["LaunchTemplate"]
        given = template["LaunchTemplateSpecification"]
        new = {"LaunchTemplateId": given["LaunchTemplateId"], "Version": self.version}
        policy: Any = {**self.policy, "LaunchTemplate": {**template, "LaunchTemplateSpecification": new}}
        return {"MixedInstancesPolicy": policy}


@dataclass(frozen=True)
class Refresh:
    """A refresh as AWS tells it; ``percentage`` is of the way that it is on, back too."""

    fleet: str
    group: str
    identifier: str
    version: str
    status: str
    percentage: int
    reason: str
    began: datetime

    @property
    def under_way(self) -> bool:
        return self.status in UNDER_WAY

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.identifier,
            "version": self.version,
            "status": self.status,
            "percent": self.percentage,
            "reason": self.reason,
            "began": self.began.isoformat(),
        }

    def __str__(self) -> str:
        text = f"{self.fleet}: to version {self.version}: {self.status}"
        if self.status in ("InProgress", "RollbackInProgress"):
            text += f", {self.percentage} %"
        return text + (f" ({self.reason})" if self.reason else "")


def due(context: Context, outputs: dict[str, Any]) -> list[Due]:
    """The fleets that a rollout would change; the one for people first. None right after a first deploy.

    Nor where an older version has the same content, as after going back from a release that no instance ever ran.
    """
    found = []
    for fleet in _in_order(outputs):
        group = _group(context.aws, outputs, fleet)
        template = outputs["fleets"][fleet]["launch_template"]
        version, versions = str(template["latest_version"]), _versions(group)
        same = _same(context.aws, template["id"], version, {*versions, _named(group)})
        stale = sum(count for other, count in versions.items() if other not in same)
        if stale or _named(group) not in same:
            policy: Any = group["MixedInstancesPolicy"]
            found.append(Due(fleet, group["AutoScalingGroupName"], version, stale, group["DesiredCapacity"], policy))
    return found


def under_way(context: Context, outputs: dict[str, Any]) -> list[Refresh]:
    """The refreshes that go on now, whoever started them."""
    found = (newest(context.aws, outputs, fleet) for fleet in _in_order(outputs))
    return [refresh for refresh in found if refresh and refresh.under_way]


def newest(aws: Aws, outputs: dict[str, Any], fleet: str) -> Refresh | None:
    """A fleet's last refresh, of the past six weeks."""
    group = outputs["fleets"][fleet]["group_name"]
    try:
        answer = aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=group, MaxRecords=1)
    except ClientError as error:
        if code_of(error) == "ValidationError":  # the group is gone, or its first apply did not come so far
            return None
        raise
    found = answer["InstanceRefreshes"]
    return _refresh(fleet, found[0]) if found else None


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
            refresh = _again(context.aws, refresh)
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
        back.append(follow(context, _again(context.aws, refresh), view, sleep, wanted="RollbackSuccessful"))
    return back


def describe(context: Context, outputs: dict[str, Any]) -> dict[str, Any]:
    """Each fleet: newest version, its group's, how many instances run which; whether a rollout is due, and the last."""
    seen = {}
    waiting = {each.fleet for each in due(context, outputs)}
    for fleet in _in_order(outputs):
        group = _group(context.aws, outputs, fleet)
        last = newest(context.aws, outputs, fleet)
        seen[fleet] = {
            "newest_version": str(outputs["fleets"][fleet]["launch_template"]["latest_version"]),
            "group_version": _named(group),
            "instances_by_version": dict(sorted(_versions(group).items())),
            "due": fleet in waiting,
            "last": last.as_dict() if last else None,
        }
    return seen


class Witness:
    """What became of the new version's instances: asked while they exist, for afterwards they are gone."""

    def __init__(self, context: Context, refresh: Refresh) -> None:
        self._context = context
        self._refresh = refresh
        self._new: set[str] = set()
        self.lost: list[str] = []

    def look(self) -> None:
        aws, name = self._context.aws.autoscaling, self._refresh.group
        group = aws.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        template = {each["InstanceId"]: each.get("LaunchTemplate", {}).get("Version") for each in group["Instances"]}
        self._new |= {identifier for identifier, version in template.items() if version == self._refresh.version}
        activities = aws.describe_scaling_activities(AutoScalingGroupName=name)["Activities"]
        self.lost = lost(activities, self._new, self._refresh.began)

    def causes(self) -> list[str]:
        """A sentence for each lost instance: the boot step that failed, where it has logged one."""
        return [self._cause(identifier) for identifier in self.lost]

    def _cause(self, identifier: str) -> str:
        failed = [step for step in timeline.read(self._context, identifier) if step.result == "failed"]
        if not failed:
            return f"{identifier} did not become ready or healthy, and its boot logged no failed step."
        return f"{identifier} failed at its boot's step {failed[0].step}: {failed[0].cause or 'no cause given'}"


def lost(activities: Iterable[Any], new: set[str], since: datetime) -> list[str]:
    """Instances of the new version that failed after ``since``, oldest first.

    A launch that failed counts when there was an instance: without one it is AWS that had none to give. An instance
    that ended counts when its health was the cause, not when the group shrank.
    """
    found: list[str] = []
    for activity in sorted(activities, key=lambda each: each["StartTime"]):
        identifier = _INSTANCE.search(activity["Description"])
        if identifier is None or activity["StartTime"] < since:
            continue
        launching = activity["Description"].startswith("Launching")
        failed = launching and activity["StatusCode"] in ("Failed", "Cancelled")
        unhealthy = not launching and identifier[0] in new and "health" in activity.get("Cause", "")
        if (failed or unhealthy) and identifier[0] not in found:
            found.append(identifier[0])
    return found


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


def _again(aws: Aws, refresh: Refresh) -> Refresh:
    answer = aws.autoscaling.describe_instance_refreshes(
        AutoScalingGroupName=refresh.group, InstanceRefreshIds=[refresh.identifier]
    )
    return _refresh(refresh.fleet, answer["InstanceRefreshes"][0])


def _refresh(fleet: str, found: Any) -> Refresh:
    back = found.get("RollbackDetails", {})
    policy = found.get("DesiredConfiguration", {}).get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    return Refresh(
        fleet=fleet,
        group=found["AutoScalingGroupName"],
        identifier=found["InstanceRefreshId"],
        version=policy.get("LaunchTemplateSpecification", {}).get("Version", "?"),
        status=found["Status"],
        percentage=back.get("PercentageCompleteOnRollback", found.get("PercentageComplete", 0)),
        reason=back.get("RollbackReason") or found.get("StatusReason") or "",
        began=found.get("StartTime") or datetime.now().astimezone(),
    )


def _in_order(outputs: dict[str, Any]) -> list[str]:
    return sorted(outputs.get("fleets", ()), key=lambda fleet: (fleet != "interactive", fleet))


def _group(aws: Aws, outputs: dict[str, Any], fleet: str) -> Any:
    name = outputs["fleets"][fleet]["group_name"]
    found = aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    if not found:
        raise UserError(f"The Auto Scaling group {name} is gone.", "The next deploy makes it again.")
    return found[0]


def _named(group: Any) -> str:
    return str(group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"])


def _same(aws: Aws, template: str, version: str, others: set[str]) -> set[str]:
    """Of these versions of a template, those with the content of ``version``, and itself."""
    if others <= {version}:
        return {version}
    wanted = sorted({version, *others} - {"?"})
    answer = aws.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=wanted)
    content = {
        str(each["VersionNumber"]): _unordered(each["LaunchTemplateData"]) for each in answer["LaunchTemplateVersions"]
    }
    return {other for other, data in content.items() if data == content[version]}


def _unordered(content: Any) -> Any:
    """A template's content with every list sorted: Terraform hands tags over in any order, and none of them has one."""
    if isinstance(content, dict):
        return {name: _unordered(value) for name, value in content.items()}
    if isinstance(content, list):
        return sorted((_unordered(value) for value in content), key=lambda value: json.dumps(value, sort_keys=True))
    return content


def _versions(group: Any) -> Counter[str]:
    """How many instances run each version; what is leaving does not count."""
    return Counter(
        str(each.get("LaunchTemplate", {}).get("Version", "?"))
        for each in group["Instances"]
        if not each["LifecycleState"].startswith("Terminating")
    )


def _alarms(aws: Aws, names: list[str]) -> tuple[list[str], list[str]]:
    """Of these alarms, those that are quiet and those that ring: one that rings would end a refresh at once."""
    if not names:
        return [], []
    found = aws.cloudwatch.describe_alarms(AlarmNames=names, AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    ringing = {alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM"}
    return sorted({alarm["AlarmName"] for alarm in found} - ringing), sorted(ringing)
