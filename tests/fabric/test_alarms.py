"""Every alarm from Terraform fires when its metrics cross the threshold, recovers, and notifies a subscriber.

The tests read the alarms from the deployed environment and copy them into a separate in-process account, where hours
pass at once and no fleet scales on invented figures. One alarm also fires in the environment itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudwatch.models import cloudwatch_backends

from ollama_gpu.core.paths import locate
from ollama_gpu.local.embedded_aws.completions import apply_all
from ollama_gpu.local.embedded_aws.completions.cloudwatch_evaluation import evaluate
from tests.fabric.driver import Driver, wait_for

ENTRIES = re.findall(
    r"^### alarm-(\S+)", (locate().repository / "docs" / "operations.md").read_text(), flags=re.MULTILINE
)
EMAIL_EVENTS = {"scaling-failures"}  # an e-mail about an event, not an alarm: tests/embedded covers it
COMPOSITE = "service-degraded"
REGION = "us-east-1"
PREFIX = "ollama-gpu-local-"

GIB = 2**30
# Values of each metric in a fault and in normal operation: not derived from the alarm, so that a wrong comparison
# operator is found.
PLAIN: dict[str, tuple[float, float]] = {
    "database-connections": (5000, 40),
    "database-cpu": (97, 35),
    "database-memory": (GIB / 10, 2 * GIB),
    "database-storage": (GIB, 200 * GIB),
    "files-io-limit": (100, 40),
    "first-token": (6000, 400),
    "gpu-errors": (1, 0),
    "gpu-missing": (0, 1),
    "gpu-temperature": (96, 61),
    "gpu-utilization": (100, 60),
    "model-on-cpu": (0, 1),
    "no-healthy-host": (0, 2),
    "no-instances": (0, 2),
    "queue": (30, 0),
    "rejected": (4, 0),
    "request-latency": (9.5, 0.1),  # seconds
    "restore-failed": (1, 0),
    "unhealthy-hosts": (1, 0),
}

# Metric ids of each alarm's expression: values at which it fires, and values at which it does not.
MATH: dict[str, tuple[dict[str, float], dict[str, float]]] = {
    "backup-failed": ({"failed": 1}, {"failed": 0}),
    "cache-cpu": ({"node0": 20, "node1": 85}, {"node0": 20, "node1": 75}),
    "cache-evictions": ({"node0": 0, "node1": 1}, {"node0": 0, "node1": 0}),
    "cache-memory": ({"node0": 81, "node1": 20}, {"node0": 79, "node1": 20}),
    "capacity-at-max": ({"serving": 50, "minimum": 1}, {"serving": 1, "minimum": 1}),
    "edge-errors": ({"requests": 97, "target": 3}, {"requests": 99, "target": 1}),
    "gpu-memory": ({"used": 96, "total": 100}, {"used": 94, "total": 100}),
    "gpu-silent": ({"serving": 2}, {"serving": 2, "reports": 1}),
}


@dataclass
class Account:
    """An in-process account with a queue that is subscribed to the alarms' topic."""

    topic: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self.cloudwatch, self.sns, self.sqs = (boto3.client(name, REGION) for name in ("cloudwatch", "sns", "sqs"))
        assert self.sns.create_topic(Name=self.topic.rpartition(":")[2])["TopicArn"] == self.topic
        self.queue = subscribe(self.sns, self.sqs, self.topic)

    def copy(self, alarm: Mapping[str, Any]) -> None:
        """Create an alarm from its description."""
        put = self.cloudwatch.put_composite_alarm if "AlarmRule" in alarm else self.cloudwatch.put_metric_alarm
        shape = self.cloudwatch.meta.service_model.operation_model(put.__name__.title().replace("_", "")).input_shape
        put(**{key: value for key, value in alarm.items() if key in shape.members and value not in ([], None)})

    def put(self, figures: list[tuple[Mapping[str, Any], float]], period: int, periods: int) -> None:
        """Put a value of each metric into each of the last whole periods, and let CloudWatch evaluate."""
        end = int(self.now.timestamp()) // period * period
        for metric, value in figures:
            for age in range(1, periods + 1):
                moment = datetime.fromtimestamp(end - age * period + 1, UTC)
                datum = {"MetricName": metric["MetricName"], "Dimensions": metric["Dimensions"], "Timestamp": moment}
                data: Any = [{**datum, "Values": [value], "Counts": [200]}]
                self.cloudwatch.put_metric_data(Namespace=metric["Namespace"], MetricData=data)
        self.look()

    def look(self) -> None:
        evaluate(cloudwatch_backends["123456789012"][REGION], self.now.replace(tzinfo=None))

    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def new_messages(self) -> list[tuple[str, str]]:
        """New messages of the subscriber: (alarm, new state)."""
        return [(each["AlarmName"], each["NewStateValue"]) for each in messages(self.sqs, self.queue)]


def subscribe(sns: Any, sqs: Any, topic: str) -> str:
    queue = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return str(queue)


def messages(sqs: Any, queue: str) -> list[dict[str, Any]]:
    heard = []
    while received := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for each in received:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])
            heard.append(json.loads(json.loads(each["Body"])["Message"]))
    return heard


def runbook(alarm: Mapping[str, Any]) -> str:
    found = re.search(r"Runbook: docs/operations\.md#alarm-(\S+)$", alarm["AlarmDescription"])
    return found[1] if found else ""


@pytest.fixture(scope="session")
def alarms(aws: Any, deployed: dict[str, Any]) -> list[dict[str, Any]]:
    """All alarms of the environment with a runbook; alarms without one belong to scaling."""
    answer = aws("cloudwatch").describe_alarms(AlarmNamePrefix=PREFIX, AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    found = [alarm for alarm in [*answer["MetricAlarms"], *answer["CompositeAlarms"]] if runbook(alarm)]
    assert {alarm["AlarmName"] for alarm in answer["MetricAlarms"] if not runbook(alarm)} == {f"{PREFIX}batch-wake"}
    return found


@pytest.fixture
def account(alarms: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        apply_all()
        yield Account(alarms[0]["AlarmActions"][0])


def figures(alarm: Mapping[str, Any], fires: bool) -> list[tuple[Mapping[str, Any], float]]:
    """A value for each metric of an alarm, at which it fires or does not."""
    if alarm.get("Metrics"):
        values = MATH[runbook(alarm)][0 if fires else 1]
        metrics = {each["Id"]: each["MetricStat"]["Metric"] for each in alarm["Metrics"] if "MetricStat" in each}
        assert set(values) <= set(metrics), "MATH names a metric that the alarm does not read"
        return [(metrics[identifier], value) for identifier, value in values.items()]
    return [(alarm, PLAIN[runbook(alarm)][0 if fires else 1])]


def period(alarm: Mapping[str, Any]) -> int:
    """The period in seconds."""
    inner = [each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    return int(max(inner, default=alarm.get("Period", 60)))


def test_every_alarm_has_a_runbook_entry_and_every_entry_an_alarm(alarms: list[dict[str, Any]]) -> None:
    assert {runbook(alarm) for alarm in alarms} == set(ENTRIES) - EMAIL_EVENTS


def test_every_alarm_notifies_the_topic_when_it_fires_and_recovers(alarms: list[dict[str, Any]]) -> None:
    for alarm in alarms:
        assert alarm["ActionsEnabled"], alarm["AlarmName"]
        assert alarm["AlarmActions"] == alarm["OKActions"] == alarms[0]["AlarmActions"], alarm["AlarmName"]


@pytest.mark.parametrize("what", [entry for entry in ENTRIES if entry not in {*EMAIL_EVENTS, COMPOSITE}])
def test_an_alarm_fires_and_recovers_with_its_metrics(
    what: str, alarms: list[dict[str, Any]], account: Account
) -> None:
    chosen = [alarm for alarm in alarms if runbook(alarm) == what]
    assert chosen
    for alarm in chosen:
        name, seconds, periods = alarm["AlarmName"], period(alarm), alarm["EvaluationPeriods"]
        account.copy(alarm)
        account.put(figures(alarm, fires=False), seconds, periods)
        account.new_messages()
        account.pass_time(seconds * periods)

        account.put(figures(alarm, fires=True), seconds, alarm["DatapointsToAlarm"])
        assert account.new_messages() == [(name, "ALARM")], name

        account.pass_time(seconds * periods)
        account.put(figures(alarm, fires=False), seconds, periods)
        assert account.new_messages() == [(name, "OK")], name
        account.cloudwatch.delete_alarms(AlarmNames=[name])


def test_too_few_bad_periods_do_not_fire_an_alarm(alarms: list[dict[str, Any]], account: Account) -> None:
    for alarm in alarms:
        needed = alarm.get("DatapointsToAlarm", 0)
        if needed < 2 or alarm["TreatMissingData"] == "breaching":
            continue
        account.copy(alarm)
        account.put(figures(alarm, fires=True), period(alarm), needed - 1)
        assert (alarm["AlarmName"], "ALARM") not in account.new_messages()
        account.cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"]])
        account.pass_time(period(alarm) * alarm["EvaluationPeriods"])


def test_the_composite_alarm_fires_with_user_facing_alarms_only(alarms: list[dict[str, Any]], account: Account) -> None:
    composite = next(alarm for alarm in alarms if runbook(alarm) == COMPOSITE)
    children = set(re.findall(r'ALARM\("([^"]+)"\)', composite["AlarmRule"]))
    simple = {alarm["AlarmName"]: alarm for alarm in alarms if "AlarmRule" not in alarm}
    assert children <= set(simple)
    for alarm in simple.values():
        account.copy(alarm)
    account.copy(composite)

    def set_state(name: str, state: str) -> None:
        account.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="by the test")

    for name in simple:
        set_state(name, "OK")
    account.new_messages()
    for name in simple:
        set_state(name, "ALARM")
        set_state(name, "OK")
        states = [new for alarm, new in account.new_messages() if alarm == composite["AlarmName"]]
        assert states == (["ALARM", "OK"] if name in children else []), name


def test_a_firing_alarm_notifies_a_subscriber_and_is_in_status_and_events(
    aws: Any, alarms: list[dict[str, Any]], driver: Driver
) -> None:
    alarm = next(alarm for alarm in alarms if runbook(alarm) == "files-io-limit")  # no fleet scales on it
    queue = subscribe(aws("sns"), aws("sqs"), alarm["AlarmActions"][0])
    now = datetime.now(UTC)
    data: Any = [
        {"MetricName": alarm["MetricName"], "Dimensions": alarm["Dimensions"], "Value": 99.0,
         "Timestamp": now - timedelta(seconds=alarm["Period"] * age)}
        for age in range(alarm["EvaluationPeriods"] + 1)
    ]  # fmt: skip
    aws("cloudwatch").put_metric_data(Namespace=alarm["Namespace"], MetricData=data)
    heard: list[dict[str, Any]] = []

    def arrived() -> bool:
        heard.extend(messages(aws("sqs"), queue))
        return any(each["AlarmName"] == alarm["AlarmName"] and each["NewStateValue"] == "ALARM" for each in heard)

    wait_for(arrived, "the alarm's message", 30)
    assert any("Runbook: docs/operations.md#alarm-files-io-limit" in each["AlarmDescription"] for each in heard)
    status = driver.run("status", "--env", "local", "--json").json
    [shown] = [each for each in status["alarms"]["ringing"] if each["what"] == "files-io-limit"]
    assert shown["runbook"] == "docs/operations.md#alarm-files-io-limit"
    assert "files-io-limit" in driver.run("status", "--env", "local").out
    events = driver.run("events", "--env", "local", "--since", "15m", "--json").json
    assert any(each["kind"] == "alarm" and each["about"] == "files-io-limit" for each in events)
