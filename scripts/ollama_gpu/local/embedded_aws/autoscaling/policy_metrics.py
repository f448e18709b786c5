"""The CloudWatch queries of a target tracking policy."""

from __future__ import annotations

from typing import Any

from moto.cloudwatch.models import Dimension, Metric, MetricDataQuery, MetricStat

from .model import Group, Json

# metric, namespace and statistic of each PredefinedMetricType
PREDEFINED = {
    "ASGAverageCPUUtilization": ("CPUUtilization", "AWS/EC2", "Average"),
    "ASGAverageNetworkIn": ("NetworkIn", "AWS/EC2", "Average"),
    "ASGAverageNetworkOut": ("NetworkOut", "AWS/EC2", "Average"),
    "ALBRequestCountPerTarget": ("RequestCountPerTarget", "AWS/ApplicationELB", "Sum"),
}


def metric_queries(group: Group, tracking: Json) -> list[Json]:
    """Return the policy's metric as queries of GetMetricData. One query returns data."""
    if predefined := tracking.get("PredefinedMetricSpecification"):
        metric, namespace, statistic = PREDEFINED[predefined["PredefinedMetricType"]]
        dimensions = [{"Name": "AutoScalingGroupName", "Value": group.name}]
        if namespace == "AWS/ApplicationELB":
            balancer, _, target_group = predefined["ResourceLabel"].partition("/targetgroup/")
            dimensions = [
                {"Name": "TargetGroup", "Value": f"targetgroup/{target_group}"},
                {"Name": "LoadBalancer", "Value": balancer},
            ]
        return [_query("m1", metric, namespace, dimensions, statistic, None, 60)]
    customized = tracking["CustomizedMetricSpecification"]
    if customized.get("Metrics"):
        return list(customized["Metrics"])
    return [
        _query(
            "m1",
            customized["MetricName"],
            customized["Namespace"],
            customized.get("Dimensions") or [],
            customized.get("Statistic") or "Average",
            customized.get("Unit"),
            int(customized.get("Period") or 60),
        )
    ]


def _query(
    id_: str, metric: str, namespace: str, dimensions: list[Json], statistic: str, unit: str | None, period: int
) -> Json:
    return {
        "Id": id_,
        "MetricStat": {
            "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions},
            "Stat": statistic,
            "Unit": unit,
            "Period": period,
        },
        "ReturnData": True,
    }


def alarm_query(query: Json) -> Any:
    """Convert a query to the form in which moto stores it in an alarm."""
    stat = query.get("MetricStat")
    kept = None
    if stat:
        metric = stat["Metric"]
        dimensions = [Dimension(each["Name"], each["Value"]) for each in metric.get("Dimensions") or []]
        kept = MetricStat(
            metric=Metric(metric["MetricName"], metric["Namespace"], dimensions),
            period=stat.get("Period") or query.get("Period") or 60,
            stat=stat["Stat"],
            unit=stat.get("Unit"),
        )
    return MetricDataQuery(
        query_id=query["Id"],
        label=query.get("Label"),
        period=None,
        return_data=query.get("ReturnData", True),
        expression=query.get("Expression"),
        metric_stat=kept,
    )
