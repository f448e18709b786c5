"""CloudWatch: metric alarms, composite alarms, notifications, and reading metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.embedded.conftest import wait_until

Client = Callable[[str], Any]

PERIOD = 3600  # seconds; long, so that a test rarely runs across the end of a period


@pytest.fixture(autouse=True)
def _within_one_period() -> None:
    """Wait if a period is about to end, because the data of "the last period" would become one period older."""
    wait_until(lambda: datetime.now(UTC).timestamp() % PERIOD < PERIOD - 30, seconds=40)


def put(client: Client, namespace: str, metric: str, *values: float, ago: int = 1, **dimensions: str) -> None:
    """Put data into the complete period that is ``ago`` periods before the current one."""
    now = datetime.now(UTC).timestamp()
    moment = datetime.fromtimestamp(now // PERIOD * PERIOD - ago * PERIOD + 1, UTC)
    dims = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    data = [{"MetricName": metric, "Dimensions": dims, "Timestamp": moment, "Value": value} for value in values]
    client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=data)


def alarm(client: Client, name: str, **more: Any) -> None:
    settings: dict[str, Any] = {
        "AlarmName": name,
        "Namespace": name,
        "MetricName": "Queue",
        "Statistic": "Average",
        "Period": PERIOD,
        "EvaluationPeriods": 1,
        "Threshold": 10.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    settings.update(more)
    client("cloudwatch").put_metric_alarm(**{key: value for key, value in settings.items() if value is not None})


def state(client: Client, name: str) -> str:
    found = client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    value: str = (found["MetricAlarms"] + found["CompositeAlarms"])[0]["StateValue"]
    return value


@pytest.mark.parametrize(
    ("comparison", "value", "expected"),
    [
        ("GreaterThanThreshold", 11, "ALARM"),
        ("GreaterThanThreshold", 10, "OK"),
        ("GreaterThanOrEqualToThreshold", 10, "ALARM"),
        ("LessThanThreshold", 9, "ALARM"),
        ("LessThanThreshold", 10, "OK"),
        ("LessThanOrEqualToThreshold", 10, "ALARM"),
    ],
)
def test_comparison_operators(client: Client, name: str, comparison: str, value: float, expected: str) -> None:
    alarm(client, name, ComparisonOperator=comparison)
    put(client, name, "Queue", value)
    assert state(client, name) == expected


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "INSUFFICIENT_DATA")],
)
def test_treat_missing_data(client: Client, name: str, treatment: str, expected: str) -> None:
    alarm(client, name, TreatMissingData=treatment)
    assert state(client, name) == expected


def test_datapoints_to_alarm(client: Client, name: str) -> None:
    alarm(client, name, EvaluationPeriods=3, DatapointsToAlarm=2)
    put(client, name, "Queue", 20, ago=3)
    put(client, name, "Queue", 5, ago=2)
    assert state(client, name) == "OK"
    put(client, name, "Queue", 20, ago=1)
    assert state(client, name) == "ALARM"


def test_percentile_alarm_evaluates_percentile(client: Client, name: str) -> None:
    alarm(client, name, Statistic=None, ExtendedStatistic="p90")
    put(client, name, "Queue", *([1] * 9), 100)
    assert state(client, name) == "OK"
    put(client, name, "Queue", 100)
    assert state(client, name) == "ALARM"


def test_alarm_ignores_data_with_other_dimensions(client: Client, name: str) -> None:
    alarm(client, name, Dimensions=[{"Name": "Fleet", "Value": "a"}])
    put(client, name, "Queue", 100, Fleet="a", Instance="i-1")
    put(client, name, "Queue", 100, Fleet="b")
    put(client, name, "Queue", 1, Fleet="a")
    assert state(client, name) == "OK"


def metric(name: str, identifier: str, namespace: str) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": namespace, "MetricName": name}, "Period": PERIOD, "Stat": "Average"}
    return {"Id": identifier, "MetricStat": stat, "ReturnData": False}


def test_metric_math_alarm_evaluates_its_expression(client: Client, name: str) -> None:
    queries = [
        {"Id": "load", "Expression": "100 * (inflight + FILL(queued, 0)) / slots", "ReturnData": True},
        metric("InFlight", "inflight", name),
        metric("Queued", "queued", name),
        metric("Slots", "slots", name),
    ]
    client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Metrics=queries,
        EvaluationPeriods=1,
        Threshold=90.0,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    put(client, name, "InFlight", 8)
    put(client, name, "Slots", 10)
    assert state(client, name) == "OK"
    put(client, name, "Queued", 1)
    assert state(client, name) == "ALARM"


def test_unsupported_expression_is_insufficient_data(client: Client, name: str) -> None:
    client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Metrics=[{"Id": "x", "Expression": "SEARCH('{x}', 'Sum', 60)", "ReturnData": True}],
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    [found] = client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    assert found["StateValue"] == "INSUFFICIENT_DATA"


def subscribe(client: Client, name: str) -> tuple[str, str]:
    topic = client("sns").create_topic(Name=name)["TopicArn"]
    queue = client("sqs").create_queue(QueueName=name)["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, queue


def messages(client: Client, queue: str) -> list[dict[str, Any]]:
    received = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(json.loads(each["Body"])["Message"]) for each in received]


def test_state_change_is_published_once(client: Client, name: str) -> None:
    topic, queue = subscribe(client, name)
    alarm(client, name, AlarmActions=[topic], AlarmDescription="too many wait")
    put(client, name, "Queue", 20)
    assert [state(client, name), state(client, name)] == ["ALARM", "ALARM"]
    [message] = messages(client, queue)
    assert (message["AlarmName"], message["AlarmDescription"]) == (name, "too many wait")
    assert (message["OldStateValue"], message["NewStateValue"]) == ("INSUFFICIENT_DATA", "ALARM")
    assert message["Trigger"]["MetricName"] == "Queue"


def test_alarm_with_disabled_actions_publishes_nothing(client: Client, name: str) -> None:
    topic, queue = subscribe(client, name)
    alarm(client, name, AlarmActions=[topic], ActionsEnabled=False)
    put(client, name, "Queue", 20)
    assert state(client, name) == "ALARM"
    assert messages(client, queue) == []


def test_update_of_alarm_keeps_its_state(client: Client, name: str) -> None:
    topic, queue = subscribe(client, name)
    put(client, name, "Queue", 20)
    for threshold in (10.0, 11.0):
        alarm(client, name, AlarmActions=[topic], Threshold=threshold)
        assert state(client, name) == "ALARM"
    assert len(messages(client, queue)) == 1


def test_set_alarm_state_holds_and_runs_actions(client: Client, name: str) -> None:
    topic, queue = subscribe(client, name)
    alarm(client, name, AlarmActions=[topic])
    client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="by the test")
    assert state(client, name) == "ALARM"
    assert [message["NewStateReason"] for message in messages(client, queue)] == ["by the test"]


def test_alarm_history_lists_state_changes(client: Client, name: str) -> None:
    alarm(client, name)
    put(client, name, "Queue", 20)
    state(client, name)
    [item] = client("cloudwatch").describe_alarm_history(AlarmName=name)["AlarmHistoryItems"]
    assert item["HistorySummary"] == "Alarm updated from INSUFFICIENT_DATA to ALARM"


def composite(client: Client, name: str, rule: str, **more: Any) -> None:
    client("cloudwatch").put_composite_alarm(AlarmName=name, AlarmRule=rule, **more)


def test_composite_alarm_reads_back(client: Client, name: str) -> None:
    alarm(client, f"{name}-child")
    rule = f'ALARM("{name}-child") OR FALSE'
    composite(client, name, rule, AlarmDescription="degraded", Tags=[{"Key": "Project", "Value": "x"}])
    cloudwatch = client("cloudwatch")
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []
    [found] = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
    assert (found["AlarmRule"], found["AlarmDescription"]) == (rule, "degraded")
    tags = cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert tags == [{"Key": "Project", "Value": "x"}]


def test_composite_alarm_follows_its_children_and_publishes(client: Client, name: str) -> None:
    topic, queue = subscribe(client, name)
    for child in ("a", "b"):
        alarm(client, f"{name}-{child}", Namespace=name, MetricName=child)
    composite(client, name, f"ALARM({name}-a) AND NOT OK({name}-b)", AlarmActions=[topic], OKActions=[topic])
    assert state(client, name) == "OK"
    put(client, name, "a", 20)
    assert state(client, name) == "ALARM"
    put(client, name, "b", 1)
    assert state(client, name) == "OK"
    assert [message["NewStateValue"] for message in messages(client, queue)] == ["OK", "ALARM", "OK"]


def test_nested_composite_alarms_are_evaluated_together(client: Client, name: str) -> None:
    alarm(client, f"{name}-leaf", Namespace=name)
    composite(client, f"{name}-z", f"ALARM({name}-leaf)")
    composite(client, f"{name}-a", f"ALARM({name}-z)")
    put(client, name, "Queue", 20)
    assert state(client, f"{name}-a") == "ALARM"


def test_invalid_alarm_rule_is_rejected(client: Client, name: str) -> None:
    with pytest.raises(ClientError, match="do not exist"):
        composite(client, name, "ALARM(missing)")
    with pytest.raises(ClientError, match="not valid"):
        composite(client, name, "ALARM(")


def test_child_of_composite_alarm_cannot_be_deleted(client: Client, name: str) -> None:
    alarm(client, f"{name}-child")
    composite(client, name, f"ALARM({name}-child)")
    cloudwatch = client("cloudwatch")
    with pytest.raises(ClientError, match="still references"):
        cloudwatch.delete_alarms(AlarmNames=[f"{name}-child"])
    cloudwatch.delete_alarms(AlarmNames=[name])
    cloudwatch.delete_alarms(AlarmNames=[f"{name}-child"])


def window() -> dict[str, datetime]:
    now = datetime.now(UTC)
    return {"StartTime": now - timedelta(hours=3), "EndTime": now + timedelta(minutes=1)}


def test_get_metric_data_computes_metric_math(client: Client, name: str) -> None:
    put(client, name, "a", 6)
    put(client, name, "b", 3)
    queries = [metric("a", "a", name), metric("b", "b", name), {"Id": "ratio", "Expression": "a / b", "Label": "r"}]
    [result] = client("cloudwatch").get_metric_data(MetricDataQueries=queries, **window())["MetricDataResults"]
    assert (result["Id"], result["Label"], result["Values"]) == ("ratio", "r", [2.0])


def test_metric_statistics_ignore_data_with_more_dimensions(client: Client, name: str) -> None:
    put(client, name, "Queue", 1, 2, 3, Fleet="a")
    put(client, name, "Queue", 50, Fleet="a", Instance="i-1")
    [point] = client("cloudwatch").get_metric_statistics(
        Namespace=name,
        MetricName="Queue",
        Dimensions=[{"Name": "Fleet", "Value": "a"}],
        Period=PERIOD,
        Statistics=["Sum", "Maximum"],
        **window(),
    )["Datapoints"]
    assert (point["Sum"], point["Maximum"]) == (6.0, 3.0)


def test_metric_statistics_include_percentiles(client: Client, name: str) -> None:
    put(client, name, "Queue", *range(1, 101))
    [point] = client("cloudwatch").get_metric_statistics(
        Namespace=name, MetricName="Queue", Period=PERIOD, ExtendedStatistics=["p95"], **window()
    )["Datapoints"]
    assert point["ExtendedStatistics"] == {"p95": 95.0}
