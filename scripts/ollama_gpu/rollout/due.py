"""Which fleets a rollout would change: the versions that their groups name and their instances run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ollama_gpu.aws import Aws
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import DesiredConfigurationTypeDef


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


def due(context: Context, outputs: dict[str, Any]) -> list[Due]:
    """The fleets that a rollout would change; the one for people first. None right after a first deploy.

    Nor where an older version has the same content, as after going back from a release that no instance ever ran.
    """
    found = []
    for fleet in in_order(outputs):
        group = group_of(context.aws, outputs, fleet)
        template = outputs["fleets"][fleet]["launch_template"]
        version, versions = str(template["latest_version"]), versions_in(group)
        same = _same(context.aws, template["id"], version, {*versions, named_by(group)})
        stale = sum(count for other, count in versions.items() if other not in same)
        if stale or named_by(group) not in same:
            policy: Any = group["MixedInstancesPolicy"]
            found.append(Due(fleet, group["AutoScalingGroupName"], version, stale, group["DesiredCapacity"], policy))
    return found


def in_order(outputs: dict[str, Any]) -> list[str]:
    """The fleets' names; the one for people first."""
    return sorted(outputs.get("fleets", ()), key=lambda fleet: (fleet != "interactive", fleet))


def group_of(aws: Aws, outputs: dict[str, Any], fleet: str) -> Any:
    """A fleet's Auto Scaling group as AWS describes it. Raises UserError when it is gone."""
    name = outputs["fleets"][fleet]["group_name"]
    found = aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    if not found:
        raise UserError(f"The Auto Scaling group {name} is gone.", "The next deploy makes it again.")
    return found[0]


def named_by(group: Any) -> str:
    """The template version from which the group starts instances."""
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


def versions_in(group: Any) -> Counter[str]:
    """How many instances run each version; what is leaving does not count."""
    return Counter(
        str(each.get("LaunchTemplate", {}).get("Version", "?"))
        for each in group["Instances"]
        if not each["LifecycleState"].startswith("Terminating")
    )
