"""Monitoring of a deployed environment: metrics, log lines and events; and how watching ends."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from ollama_gpu.core import contract
from ollama_gpu.core.paths import locate
from tests.fabric.driver import Driver

AGREED = contract.load(locate().contract)
INSTANCE_LOGS = AGREED.log_group("instance", "local")


def group_of(deployed: dict[str, Any]) -> str:
    return str(deployed["fleets"]["interactive"]["group_name"])


@pytest.fixture(scope="module")
def instance(aws: Any, deployed: dict[str, Any]) -> str:
    answer = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group_of(deployed)])
    return str(answer["AutoScalingGroups"][0]["Instances"][0]["InstanceId"])


def write_log(aws: Any, stream: str, *messages: str) -> None:
    logs = aws("logs")
    with contextlib.suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_stream(logGroupName=INSTANCE_LOGS, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + index, "message": message} for index, message in enumerate(messages)]
    logs.put_log_events(logGroupName=INSTANCE_LOGS, logStreamName=stream, logEvents=events)


def test_status_shows_the_load_of_an_instance_and_of_the_fleet(
    driver: Driver, aws: Any, deployed: dict[str, Any], instance: str
) -> None:
    dimensions = [
        {"Name": "AutoScalingGroupName", "Value": group_of(deployed)},
        {"Name": "InstanceId", "Value": instance},
    ]
    figures = {"InFlight": 3, "Queued": 1, "Slots": 8, "GpuCount": 1, "ModelOnGpu": 0}
    aws("cloudwatch").put_metric_data(
        Namespace=AGREED.metrics.namespace,
        MetricData=[{"MetricName": key, "Dimensions": dimensions, "Value": value} for key, value in figures.items()],
    )
    fleet = driver.run("status", "--env", "local", "--json").json["fleets"]["interactive"]
    assert (fleet["load"]["in_flight"], fleet["load"]["inference_load_percent"]) == (3.0, 50.0)
    [shown] = [each for each in fleet["instances"] if each["id"] == instance]
    assert (shown["load"]["queued"], shown["load"]["model_on_gpu"]) == (1.0, 0.0)
    assert fleet["load"]["gpu_utilization_percent"] is None, "no instance has reported it"
    table = driver.run("status", "--env", "local").out
    assert "3 of 8" in table
    assert " NO " in table


def test_logs_can_be_limited_to_an_instance_or_to_boots(driver: Driver, aws: Any, instance: str) -> None:
    journal = json.dumps({"body": {"MESSAGE": "offloaded 1/19 layers", "SYSLOG_IDENTIFIER": "ollama"}})
    write_log(aws, instance, "step=gpu result=failed seconds=1.0 cause=no GPU answers", journal)
    write_log(aws, "i-0123456789abcdef0", "another's line")
    everything = driver.run("logs", "--env", "local").out
    assert "another's line" in everything
    assert f"{instance}  ollama: offloaded 1/19 layers" in everything
    own = driver.run("logs", "--env", "local", "--instance", instance, "--json")
    assert {json.loads(line)["source"] for line in own.out.splitlines()} == {instance}
    boot = driver.run("logs", "--env", "local", "--group", "boot").out
    assert "cause=no GPU answers" in boot
    assert "offloaded" not in boot
    assert driver.run("logs", "--env", "local", "--instance", "i-00000000000000000").out == ""


def test_invalid_log_options_are_refused_with_a_message(driver: Driver) -> None:
    assert driver.run("logs", "--env", "local", "--group", "journal").refused("no log group 'journal'", "gateway")
    assert driver.run("logs", "--env", "local", "--since", "tomorrow").refused("not a valid duration", "15m")


def follow(process: subprocess.Popen[str], until: str) -> list[str]:
    """Read the lines of an endless command up to one that contains ``until``, then send Ctrl-C."""
    seen: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if until in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return seen


def test_following_logs_shows_each_line_once_until_ctrl_c(driver: Driver, aws: Any, instance: str) -> None:
    write_log(aws, instance, "the first line")
    process = driver.start("logs", "--env", "local", "--instance", instance, "--follow", "--since", "5m")
    assert process.stdout is not None
    write_log(aws, instance, "the second line")
    lines = follow(process, "the second line")
    assert sum("the first line" in line for line in lines) == 1


def test_watching_the_status_continues_until_ctrl_c(driver: Driver, deployed: dict[str, Any]) -> None:
    process = driver.start("status", "--env", "local", "--watch", "--every", "2", "--json")
    assert process.stdout is not None
    first, second = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
    assert first["time"] < second["time"]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def test_events_show_launches_with_their_cause_in_time_order(driver: Driver, aws: Any) -> None:
    events = driver.run("events", "--env", "local", "--json").json
    times = [datetime.fromisoformat(each["time"]) for each in events]
    assert times == sorted(times)
    assert times[-1] <= datetime.now(UTC)
    launches = [each for each in events if each["kind"] == "scaling" and each["what"].startswith("Launching")]
    assert launches
    assert all("difference between desired and actual capacity" in each["reason"] for each in launches)
    assert {each["kind"] for each in events} >= {"scaling", "lifecycle"}
    assert not any("Launch Successful" in each["what"] for each in events), "an activity is listed once"


def test_events_show_spot_notices_of_own_instances_only(driver: Driver, aws: Any, instance: str) -> None:
    for victim in (instance, "i-0ffffffffffffffff"):
        notice = {"instance-id": victim, "instance-action": "terminate"}
        aws("events").put_events(
            Entries=[
                {
                    "Source": "aws.ec2",
                    "DetailType": "EC2 Spot Instance Interruption Warning",
                    "Detail": json.dumps(notice),
                }
            ]
        )
    events = [each for each in driver.run("events", "--env", "local", "--json").json if each["kind"] == "spot"]
    assert [(each["about"], each["reason"]) for each in events] == [(instance, "terminate")]


def test_verify_skips_the_chat_without_a_lab(driver: Driver, deployed: dict[str, Any]) -> None:
    rows = {row["what"]: row for row in driver.run("verify", "--env", "local", "--json").json}
    assert rows["chat"]["state"] == "skipped"
    assert rows["fleet interactive"]["seen"] == "2 of 2 healthy"
    assert rows["alarms"]["state"] in ("ok", "warning", "failed")
