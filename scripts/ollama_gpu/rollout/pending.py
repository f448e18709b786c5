"""Finds the fleets that need a rollout, from the versions in their groups and instances."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ollama_gpu.core.aws import Aws
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context

if TYPE_CHECKING:
    from mypy_boto3_autoscaling.type_defs import DesiredConfigurationTypeDef


@dataclass(frozen=True)
class PendingRollout:
    """A fleet that is not on the newest template version. ``stale`` and ``desired`` are numbers of instances."""

    fleet: str
    group: str
    version: str
    stale: int
    desired: int
    policy: dict[str, Any]

    @property
    def desired_configuration(self) -> DesiredConfigurationTypeDef:
        """The group's current configuration, with the new version."""
        template = self.policy["LaunchTemplate"]
        current = template["LaunchTemplateSpecification"]
        new = {"LaunchTemplateId": current["LaunchTemplateId"], "Version": self.version}
        policy: Any = {**self.policy, "LaunchTemplate": {**template, "LaunchTemplateSpecification": new}}
        return {"MixedInstancesPolicy": policy}


def pending_rollouts(context: Context, outputs: dict[str, Any]) -> list[PendingRollout]:
    """Return the fleets that need a rollout, the interactive fleet first. Empty after a first deploy.

    A fleet on an older version with the same content needs none. That happens after the rollback of a release that
    no instance ever ran.
    """
    found = []
    for fleet in in_order(outputs):
        group = group_of(context.aws, outputs, fleet)
        template = outputs["fleets"][fleet]["launch_template"]
        version, versions = str(template["latest_version"]), instance_versions(group)
        same = _same_content(context.aws, template["id"], version, {*versions, group_version(group)})
        stale = sum(count for other, count in versions.items() if other not in same)
        if stale or group_version(group) not in same:
            policy: Any = group["MixedInstancesPolicy"]
            found.append(
                PendingRollout(fleet, group["AutoScalingGroupName"], version, stale, group["DesiredCapacity"], policy)
            )
    return found


def in_order(outputs: dict[str, Any]) -> list[str]:
    """Return the fleet names, the interactive fleet first."""
    return sorted(outputs.get("fleets", ()), key=lambda fleet: (fleet != "interactive", fleet))


def group_of(aws: Aws, outputs: dict[str, Any], fleet: str) -> Any:
    """Describe a fleet's Auto Scaling group. Raises UserError if it does not exist."""
    name = outputs["fleets"][fleet]["group_name"]
    found = aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    if not found:
        raise UserError(f"The Auto Scaling group {name} does not exist.", "Deploy again to recreate it.")
    return found[0]


def group_version(group: Any) -> str:
    """Return the template version from which the group launches instances."""
    return str(group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"])


def _same_content(aws: Aws, template: str, version: str, others: set[str]) -> set[str]:
    """Return ``version`` and those of ``others`` that have the same content."""
    if others <= {version}:
        return {version}
    versions = sorted({version, *others} - {"?"})
    answer = aws.ec2.describe_launch_template_versions(LaunchTemplateId=template, Versions=versions)
    content = {
        str(each["VersionNumber"]): _unordered(each["LaunchTemplateData"]) for each in answer["LaunchTemplateVersions"]
    }
    return {other for other, data in content.items() if data == content[version]}


def _unordered(content: Any) -> Any:
    """Sort every list in a template's content. Terraform passes tags in any order, and no list here is ordered."""
    if isinstance(content, dict):
        return {name: _unordered(value) for name, value in content.items()}
    if isinstance(content, list):
        return sorted((_unordered(value) for value in content), key=lambda value: json.dumps(value, sort_keys=True))
    return content


def instance_versions(group: Any) -> Counter[str]:
    """Count the instances of each version, without terminating instances."""
    return Counter(
        str(each.get("LaunchTemplate", {}).get("Version", "?"))
        for each in group["Instances"]
        if not each["LifecycleState"].startswith("Terminating")
    )
