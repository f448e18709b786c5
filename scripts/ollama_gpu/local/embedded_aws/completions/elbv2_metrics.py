"""The metrics HealthyHostCount and UnHealthyHostCount of target groups, which moto 5.2.5 does not publish.

An alarm on healthy hosts treats missing data as breaching, because on AWS missing data is a failure.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.utils import utcnow
from moto.elbv2.models import elbv2_backends

NAMESPACE = "AWS/ApplicationELB"
# Targets in the states initial, draining and unused are in neither count, as on AWS.
COUNTED = {"HealthyHostCount": "healthy", "UnHealthyHostCount": "unhealthy"}


def publish_everything() -> None:
    """Publish the counts of every target group that a load balancer uses."""
    now = utcnow()
    for account, regions in list(elbv2_backends.items()):
        for region, backend in list(regions.items()):
            data = [each for group in list(backend.target_groups.values()) for each in counts(backend, group, now)]
            if data:
                cloudwatch_backends[account][region].put_metric_data(NAMESPACE, data)


def counts(backend: Any, group: Any, now: datetime) -> list[dict[str, Any]]:
    """Return the data points of a target group for each of its load balancers. Empty if it has no targets."""
    states = Counter(health.status for health in backend.describe_target_health(group.arn, []))
    if not states:
        return []
    return [
        {
            "MetricName": metric,
            "Value": states[state],
            "Unit": "Count",
            "Timestamp": now,
            "Dimensions": [
                {"Name": "LoadBalancer", "Value": arn.split(":loadbalancer/", 1)[1]},
                {"Name": "TargetGroup", "Value": group.arn.rsplit(":", 1)[1]},
            ],
        }
        for arn in group.load_balancer_arns
        for metric, state in COUNTED.items()
    ]
