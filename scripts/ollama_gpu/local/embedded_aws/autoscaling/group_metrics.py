"""The metrics of a group (namespace AWS/AutoScaling): one data point a minute while they are enabled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from moto.cloudwatch.models import cloudwatch_backends

from .model import IN_SERVICE, PENDING, STANDBY, TERMINATING, Group
from .region import Region

_EVERY = timedelta(minutes=1)
_STATES = {"InService": IN_SERVICE, "Pending": PENDING, "Standby": STANDBY, "Terminating": TERMINATING}

METRICS = (
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
    "GroupInServiceCapacity",
    "GroupPendingCapacity",
    "GroupStandbyCapacity",
    "GroupTerminatingCapacity",
    "GroupTotalCapacity",
)


def values(group: Group) -> dict[str, int]:
    """Return the current value of every metric by its name."""
    found = {
        "GroupMinSize": group.min_size,
        "GroupMaxSize": group.max_size,
        "GroupDesiredCapacity": group.desired_capacity,
        "GroupTotalInstances": len(group.members),
        "GroupTotalCapacity": len(group.members),
    }
    for name, state in _STATES.items():
        number = sum(member.lifecycle_state.startswith(state) for member in group.members)
        found[f"Group{name}Instances"] = found[f"Group{name}Capacity"] = number
    return found


def publish(region: Region, group: Group, now: datetime) -> None:
    """Publish the enabled metrics, at most once a minute."""
    if not group.metrics or (group.measured_at is not None and now - group.measured_at < _EVERY):
        return
    group.measured_at = now
    present = values(group)
    cloudwatch_backends[region.account][region.name].put_metric_data(
        "AWS/AutoScaling",
        [
            {
                "MetricName": name,
                "Value": present[name],
                "Dimensions": [{"Name": "AutoScalingGroupName", "Value": group.name}],
                "Timestamp": now.astimezone(UTC).replace(tzinfo=None),  # moto stores naive UTC
            }
            for name in group.metrics
            if name in present
        ],
    )
