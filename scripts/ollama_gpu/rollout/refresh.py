"""Instance refreshes as AWS reports them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of
from ollama_gpu.environment.context import Context

from .pending import in_order

UNDER_WAY = ("Pending", "InProgress", "Baking", "Cancelling", "RollbackInProgress")
REVERSIBLE = ("Pending", "InProgress", "Baking")


@dataclass(frozen=True)
class Refresh:
    """One instance refresh. ``percentage`` is the progress of the refresh, or of its rollback."""

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


def under_way(context: Context, outputs: dict[str, Any]) -> list[Refresh]:
    """Return the refreshes in progress, including those that another command started."""
    found = (newest(context.aws, outputs, fleet) for fleet in in_order(outputs))
    return [refresh for refresh in found if refresh and refresh.under_way]


def newest(aws: Aws, outputs: dict[str, Any], fleet: str) -> Refresh | None:
    """Return a fleet's last refresh. AWS keeps them for six weeks."""
    group = outputs["fleets"][fleet]["group_name"]
    try:
        answer = aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=group, MaxRecords=1)
    except ClientError as error:
        if code_of(error) == "ValidationError":  # the group does not exist, for example because its first apply failed
            return None
        raise
    found = answer["InstanceRefreshes"]
    return _refresh(fleet, found[0]) if found else None


def reload(aws: Aws, refresh: Refresh) -> Refresh:
    """Read the current state of a refresh. It stays as it was if AWS does not list the refresh yet."""
    return find(aws, refresh.fleet, refresh.group, refresh.identifier) or refresh


def find(aws: Aws, fleet: str, group: str, identifier: str) -> Refresh | None:
    """Return a refresh by its id; None if AWS does not list it, as shortly after its start."""
    answer = aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=group, InstanceRefreshIds=[identifier])
    found = answer["InstanceRefreshes"]
    return _refresh(fleet, found[0]) if found else None


def _refresh(fleet: str, found: Any) -> Refresh:
    rollback = found.get("RollbackDetails", {})
    policy = found.get("DesiredConfiguration", {}).get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
    return Refresh(
        fleet=fleet,
        group=found["AutoScalingGroupName"],
        identifier=found["InstanceRefreshId"],
        version=policy.get("LaunchTemplateSpecification", {}).get("Version", "?"),
        status=found["Status"],
        percentage=rollback.get("PercentageCompleteOnRollback", found.get("PercentageComplete", 0)),
        reason=rollback.get("RollbackReason") or found.get("StatusReason") or "",
        began=found.get("StartTime") or datetime.now().astimezone(),
    )
