"""The embedded metric format: metrics that CloudWatch extracts from log events (specification version 0).

Follows: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends


def publish(account: str, region: str, events: list[dict[str, Any]]) -> None:
    """Publish the metrics in log events. An event that does not follow the format contains none."""
    backend = cloudwatch_backends[account][region]
    for event in events:
        for namespace, datum in read(event["message"]):
            backend.put_metric_data(namespace, [datum])


def read(message: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield namespace and datum (as in PutMetricData) of each metric and dimension set in a log message."""
    if '"_aws"' not in message:
        return
    try:
        document = json.loads(message)
        directives = document["_aws"]["CloudWatchMetrics"]
        timestamp = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC)
        for directive in directives:
            for metric in directive["Metrics"]:
                values = document.get(metric["Name"])
                for names in directive.get("Dimensions") or [[]]:
                    if values is None or any(name not in document for name in names):
                        continue
                    yield (
                        directive["Namespace"],
                        {
                            "MetricName": metric["Name"],
                            "Dimensions": [{"Name": name, "Value": str(document[name])} for name in names],
                            "Timestamp": timestamp.replace(tzinfo=None),  # moto compares naive UTC times
                            "Unit": metric.get("Unit", "None"),
                            "Values": [float(value) for value in (values if isinstance(values, list) else [values])],
                        },
                    )
    except (ValueError, TypeError, LookupError):
        return
