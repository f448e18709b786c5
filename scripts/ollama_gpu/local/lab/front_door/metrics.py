"""A load balancer's metrics in CloudWatch, computed from HAProxy's counters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .stats import BACKEND, Row
from .view import Forward, FrontDoorView, TargetGroup

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

NAMESPACE = "AWS/ApplicationELB"


@dataclass(frozen=True)
class Traffic:
    """The traffic of a target group since the last reading.

    ``answered`` counts the targets' responses, ``failed`` the load balancer's own, both by the first digit of the
    status. ``response_seconds`` is the mean time to the target's headers over the last 1024 requests.
    """

    load_balancer_arn: str
    target_group_arn: str
    requests: int
    answered: Mapping[int, int]
    failed: Mapping[int, int]
    response_seconds: float
    healthy: int


@dataclass
class Meter:
    """Turns counters into increments since the last reading. HAProxy's counters start at zero when HAProxy restarts."""

    _before: dict[str, tuple[int, dict[int, int], dict[int, int]]] = field(default_factory=dict)

    def read(self, view: FrontDoorView, rows: Mapping[tuple[str, str], Row]) -> list[Traffic]:
        """Return the traffic of each target group with a load balancer. The first reading returns nothing."""
        owners = _owners(view)
        return [
            traffic
            for group in view.target_groups
            if group.arn in owners and (row := rows.get((group.backend, BACKEND))) is not None
            for traffic in self._group(group, owners[group.arn], row, rows)
        ]

    def _group(
        self, group: TargetGroup, owner: str, row: Row, rows: Mapping[tuple[str, str], Row]
    ) -> Iterator[Traffic]:
        servers = [each for (backend, name), each in rows.items() if backend == group.backend and name != BACKEND]
        answered = {digit: sum(each.responses[digit] for each in servers) for digit in row.responses}
        failed = {digit: max(0, count - answered[digit]) for digit, count in row.responses.items()}
        now = (row.requests, answered, failed)
        before = self._before.get(group.backend)
        self._before[group.backend] = now
        if before is None:
            return
        if before[0] > row.requests:  # a new process counts from zero
            before = (0, dict.fromkeys(answered, 0), dict.fromkeys(failed, 0))
        yield Traffic(
            load_balancer_arn=owner,
            target_group_arn=group.arn,
            requests=row.requests - before[0],
            answered={digit: max(0, count - before[1][digit]) for digit, count in answered.items()},
            failed={digit: max(0, count - before[2][digit]) for digit, count in failed.items()},
            response_seconds=row.response_seconds,
            healthy=sum(not (each.in_maintenance or each.is_down) for each in servers),
        )


def data(traffic: Traffic) -> list[MetricDatumTypeDef]:
    """Return the data points of the namespace AWS/ApplicationELB. As on AWS, a count of zero has no data point.

    The embedded AWS itself publishes HealthyHostCount and UnHealthyHostCount.
    """
    balancer = traffic.load_balancer_arn.split(":loadbalancer/", 1)[1]
    group = traffic.target_group_arn.rsplit(":", 1)[1]
    counts = {
        "RequestCount": float(traffic.requests),
        # Scaling policies use the sum of this metric's data points.
        "RequestCountPerTarget": traffic.requests / max(1, traffic.healthy),
        **{f"HTTPCode_Target_{digit}XX_Count": float(count) for digit, count in traffic.answered.items() if digit > 1},
    }
    own = {f"HTTPCode_ELB_{digit}XX_Count": float(traffic.failed.get(digit, 0)) for digit in (4, 5)}
    points = [_point(name, value, "Count", balancer, group) for name, value in counts.items() if value]
    points += [
        _point(name, value, "Count", balancer, None) for name, value in {**own, **_total(counts)}.items() if value
    ]
    if traffic.requests:
        points += [
            _point("TargetResponseTime", traffic.response_seconds, "Seconds", balancer, each) for each in (group, None)
        ]
    return points


def _total(counts: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in counts.items() if name != "RequestCountPerTarget"}


def _point(name: str, value: float, unit: str, balancer: str, group: str | None) -> MetricDatumTypeDef:
    dimensions = [{"Name": "LoadBalancer", "Value": balancer}]
    if group is not None:
        dimensions.insert(0, {"Name": "TargetGroup", "Value": group})
    return {"MetricName": name, "Value": value, "Unit": unit, "Dimensions": dimensions}  # type: ignore[typeddict-item]


def _owners(view: FrontDoorView) -> dict[str, str]:
    return {
        rule.action.target_group: balancer.arn
        for balancer in view.load_balancers
        for listener in balancer.listeners
        for rule in listener.rules
        if isinstance(rule.action, Forward)
    }
