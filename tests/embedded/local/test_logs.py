"""CloudWatch Logs: query definitions, keys, the embedded metric format, and the limit of stored events."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]


def test_query_definition_reads_back(client: Client, name: str) -> None:
    logs = client("logs")
    wanted = {"name": f"{name}/slow", "queryString": "fields @timestamp", "logGroupNames": [name]}
    identifier = logs.put_query_definition(**wanted)["queryDefinitionId"]
    logs.put_query_definition(queryDefinitionId=identifier, **{**wanted, "queryString": "fields @message"})
    [query] = logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"]
    assert query.items() >= {**wanted, "queryString": "fields @message", "queryDefinitionId": identifier}.items()
    assert logs.delete_query_definition(queryDefinitionId=identifier)["success"]
    assert logs.describe_query_definitions(queryDefinitionNamePrefix=name)["queryDefinitions"] == []
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        logs.delete_query_definition(queryDefinitionId=identifier)


def test_log_group_key_can_be_changed(client: Client, name: str) -> None:
    logs = client("logs")
    logs.create_log_group(logGroupName=name)
    key = "arn:aws:kms:us-east-1:123456789012:key/x"
    logs.associate_kms_key(logGroupName=name, kmsKeyId=key)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["kmsKeyId"] == key
    logs.disassociate_kms_key(logGroupName=name)
    assert "kmsKeyId" not in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]


def put(client: Client, group: str, message: str) -> None:
    logs = client("logs")
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="gateway")
    event = {"timestamp": int(time.time() * 1000), "message": message}
    logs.put_log_events(logGroupName=group, logStreamName="gateway", logEvents=[event])


def statistics(client: Client, namespace: str, metric: str, **dimensions: str) -> list[float]:
    now = datetime.now(UTC)
    points = client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=600,
        Statistics=["Sum"],
    )["Datapoints"]
    return [point["Sum"] for point in points]


def test_embedded_metrics_become_cloudwatch_metrics(client: Client, name: str) -> None:
    directive = {
        "Namespace": name,
        "Dimensions": [["AutoScalingGroupName"], ["AutoScalingGroupName", "Model"]],
        "Metrics": [{"Name": "TimeToFirstToken", "Unit": "Milliseconds"}, {"Name": "Absent"}],
    }
    document = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        "AutoScalingGroupName": "fleet",
        "Model": "gemma3",
        "TimeToFirstToken": [100, 150.5],
    }
    put(client, name, json.dumps(document))
    assert statistics(client, name, "TimeToFirstToken", AutoScalingGroupName="fleet", Model="gemma3") == [250.5]
    listed = client("cloudwatch").list_metrics(Namespace=name)["Metrics"]
    assert sorted(len(metric["Dimensions"]) for metric in listed) == [1, 2]


@pytest.mark.parametrize("message", ["plain", '{"_aws": 1}', '{"_aws": {"CloudWatchMetrics": [{}], "Timestamp": 1}}'])
def test_log_event_without_embedded_metrics_is_stored(client: Client, name: str, message: str) -> None:
    put(client, name, message)
    assert client("logs").filter_log_events(logGroupName=name)["events"][0]["message"] == message


def test_rejected_log_event_publishes_no_metric(client: Client, name: str) -> None:
    directive = {"Namespace": name, "Dimensions": [[]], "Metrics": [{"Name": "Requests"}]}
    now = int(time.time() * 1000)
    document = {"_aws": {"Timestamp": now, "CloudWatchMetrics": [directive]}, "Requests": 1}
    logs = client("logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="gateway")
    three_hours = 3 * 3600 * 1000
    events = [{"timestamp": now + ahead, "message": json.dumps(document)} for ahead in (0, three_hours)]
    answer = logs.put_log_events(logGroupName=name, logStreamName="gateway", logEvents=events)
    assert "tooNewLogEventStartIndex" in answer["rejectedLogEventsInfo"]
    assert statistics(client, name, "Requests") == [1.0]


def test_log_stream_keeps_first_and_newest_events(client: Client, name: str) -> None:
    logs = client("logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="gateway")
    now = int(time.time() * 1000)
    for part in range(3):
        events = [{"timestamp": now + part, "message": f"{part} {index}"} for index in range(5_000)]
        logs.put_log_events(logGroupName=name, logStreamName="gateway", logEvents=events)
    kept = logs.get_log_events(logGroupName=name, logStreamName="gateway", startFromHead=True, limit=10_000)["events"]
    texts = [event["message"] for event in kept]
    assert (len(texts), texts[0], texts[1999], texts[2000], texts[-1]) == (10_000, "0 0", "0 1999", "1 2000", "2 4999")
