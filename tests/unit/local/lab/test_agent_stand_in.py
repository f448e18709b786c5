"""The stand-in's parts: configuration, sources, sending and host metrics."""

from __future__ import annotations

import copy
import json
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from ollama_gpu.local.lab.agent.stand_in import configuration, embedded_metrics, host_metrics, journal
from ollama_gpu.local.lab.agent.stand_in.configuration import (
    Destination,
    Figure,
    FileSource,
    HostMetrics,
    JournalSource,
)
from ollama_gpu.local.lab.agent.stand_in.log_files import LogFile
from ollama_gpu.local.lab.agent.stand_in.outbox import BATCH_BYTES, EVENT_BYTES, Event, Outbox, Unsent, batches
from tests.unit.collection.gateway_bench import wait_for

STREAM = {"log_group_name": "/instance", "log_stream_name": "{instance_id}"}
CONFIGURATION: dict[str, Any] = {
    "agent": {"metrics_collection_interval": 30, "region": "eu-central-1", "run_as_user": "cwagent"},
    "metrics": {
        "namespace": "OllamaGPU",
        "append_dimensions": {"AutoScalingGroupName": "${aws:AutoScalingGroupName}"},
        "aggregation_dimensions": [["AutoScalingGroupName"]],
        "metrics_collected": {
            "mem": {"drop_original_metrics": ["*"], "measurement": [{"name": "used_percent", "unit": "Percent"}]}
        },
    },
    "logs": {
        "log_stream_name": "{instance_id}",
        "logs_collected": {
            "files": {"collect_list": [{"file_path": "/var/log/a.log", **STREAM}]},
            "journald": {"collect_list": [{**STREAM, "filters": [{"type": "exclude", "expression": "secret"}]}]},
        },
        "metrics_collected": {"emf": {"service_address": "udp://127.0.0.1:25888"}},
    },
}
GPU = {"drop_original_metrics": ["*"], "measurement": [{"name": "utilization_gpu"}]}
ALL_ADDRESSES = "0.0.0.0"  # noqa: S104 (the agent's default)
PLACED = Destination("/instance", "i-1")
SOURCE = JournalSource(PLACED, "info", (re.compile("CloudWatchMetrics"),))


def test_configuration_is_parsed() -> None:
    read = configuration.read(CONFIGURATION, "i-1")
    assert (read.region, read.udp, read.tcp, read.stream) == ("eu-central-1", ("127.0.0.1", 25888), None, "i-1")
    assert read.files == (FileSource(PLACED, "/var/log/a.log"),)
    assert read.journals == (JournalSource(PLACED, "info", (re.compile("secret"),)),)
    assert read.host == HostMetrics(
        "OllamaGPU", 30, (Figure("mem_used_percent", "Percent"),), (), (("AutoScalingGroupName",),), None
    )


@pytest.mark.parametrize(
    ("address", "udp", "tcp"),
    [
        ("udp://127.0.0.1:25888", ("127.0.0.1", 25888), None),
        ("tcp:127.0.0.1:1", None, ("127.0.0.1", 1)),
        ("udp://:2", (ALL_ADDRESSES, 2), None),
        (None, (ALL_ADDRESSES, 25888), (ALL_ADDRESSES, 25888)),
    ],
)
def test_listens_on_the_agents_addresses(address: str | None, udp: Any, tcp: Any) -> None:
    changed = copy.deepcopy(CONFIGURATION)
    changed["logs"]["metrics_collected"]["emf"] = {"service_address": address} if address else {}
    read = configuration.read(changed, "i-1")
    assert (read.udp, read.tcp) == (udp, tcp)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("traces",), {}, "traces"),
        (("agent", "debug"), True, "debug"),
        (("agent", "region"), "", "region"),
        (("metrics", "metrics_collected", "nvidia_gpu"), GPU, "nvidia_gpu: utilization_gpu"),
        (("metrics", "metrics_collected", "mem", "drop_original_metrics"), [], "other than the aggregated ones"),
        (("metrics", "metrics_collected", "mem", "measurement"), [{"name": "free"}], "mem: free"),
        (("metrics", "aggregation_dimensions"), [["Model"]], "Model"),
        (("logs", "metrics_collected", "emf", "service_address"), "unix:///x", "unix:///x"),
        (
            ("logs", "logs_collected", "files", "collect_list"),
            [{"file_path": "/var/log/*.log", **STREAM}],
            "pattern",
        ),
        (("logs", "log_stream_name"), "{hostname}", "{hostname}"),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_unsupported_configuration_is_refused(path: tuple[str, ...], value: Any, message: str) -> None:
    changed = copy.deepcopy(CONFIGURATION)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(configuration.Unsupported, match=re.escape(message)):
        configuration.read(changed, "i-1")


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"_aws": {"LogGroupName": "/g"}}, Destination("/g", "i-1")),
        ({"_aws": {"LogGroupName": "/g", "LogStreamName": "s"}}, Destination("/g", "s")),
        ({"log_group_name": "/old"}, Destination("/old", "i-1")),
        ({"_aws": {"CloudWatchMetrics": []}}, None),
        ({"Status": 200}, None),
        ({"_aws": "x"}, None),
        ([], None),
    ],
)
def test_document_goes_to_the_log_group_that_it_names(document: Any, expected: Destination | None) -> None:
    line = json.dumps(document)
    found = embedded_metrics.event(line, "i-1")
    assert (found.destination if found else None) == expected
    assert found is None or found.message == line


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_documents_are_received_and_other_lines_dropped(kind: str) -> None:
    taken: list[Event] = []
    sent = b'Proxy figures stopped\n{"_aws":{"LogGroupName":"/g"},"n":1}\n{"_aws":{"LogGroupName":"/g"},"n":2}\n'
    listen = embedded_metrics.listen_udp if kind == "udp" else embedded_metrics.listen_tcp
    address = listen(("127.0.0.1", 0), "i-1", taken.append)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as sender:
        sender.connect(address)
        sender.sendall(sent)
    wait_for(lambda: len(taken) == 2)
    assert [json.loads(event.message)["n"] for event in taken] == [1, 2]
    with pytest.raises(OSError, match="in use"):
        listen(address, "i-1", taken.append)


def entry(message: object, **fields: str) -> str:
    return json.dumps({"MESSAGE": message, "__REALTIME_TIMESTAMP": "1700000000123456", "__CURSOR": "c", **fields})


def test_journal_entry_has_the_form_of_the_agents_receiver() -> None:
    found = journal.event(entry("hello", _SYSTEMD_UNIT="a.service"), SOURCE, "journal 0")
    assert found is not None
    assert json.loads(found.message) == {"body": {"MESSAGE": "hello", "_SYSTEMD_UNIT": "a.service", "__CURSOR": "c"}}
    assert (found.timestamp, found.origin, found.position) == (1700000000123, "journal 0", "c")


def test_journal_entry_that_is_not_text_is_sent() -> None:
    found = journal.event(entry([104, 105, 255]), SOURCE, "journal 0")
    assert found is not None
    assert json.loads(found.message)["body"]["MESSAGE"] == "hi\ufffd"


def test_documents_in_the_journal_are_not_sent_again() -> None:
    document = json.dumps({"_aws": {"LogGroupName": "/g", "CloudWatchMetrics": []}})
    assert journal.event(entry(document, SYSLOG_IDENTIFIER="ollama-gpu-requests"), SOURCE, "journal 0") is None


def test_log_file_is_read_from_its_beginning_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = LogFile(FileSource(PLACED, str(path)), None)
    assert file.new_lines() == []
    path.write_text("one\n\ntwo\nthr")
    assert [event.message for event in file.new_lines()] == ["one", "two"]
    with path.open("a") as more:
        more.write("ee\n")
    (event,) = file.new_lines()
    assert event.message == "three"
    again = LogFile(FileSource(PLACED, str(path)), event.position)
    assert again.new_lines() == []


def test_replaced_or_truncated_log_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("a long line\n")
    file = LogFile(FileSource(PLACED, str(path)), None)
    file.new_lines()
    path.write_text("short\n")
    assert [event.message for event in file.new_lines()] == ["short"]
    (tmp_path / "b.log").write_text("another file, longer than the first\n")
    (tmp_path / "b.log").replace(path)
    assert [event.message for event in file.new_lines()] == ["another file, longer than the first"]


class Logs:
    """A client of CloudWatch Logs with one log group, which can fail on request."""

    class exceptions:
        class ResourceNotFoundException(ClientError):
            pass

    def __init__(self) -> None:
        self.streams: dict[str, list[str]] = {}
        self.failure: Exception | None = None

    def put_log_events(self, logGroupName: str, logStreamName: str, logEvents: list[dict[str, Any]]) -> None:
        if self.failure:
            raise self.failure
        if logGroupName != PLACED.group or logStreamName not in self.streams:
            raise self.exceptions.ResourceNotFoundException({"Error": {"Code": "ResourceNotFoundException"}}, "Put")
        times = [event["timestamp"] for event in logEvents]
        assert times == sorted(times), "PutLogEvents requires time order"
        self.streams[logStreamName] += [event["message"] for event in logEvents]

    def create_log_stream(self, logGroupName: str, logStreamName: str) -> None:
        if logGroupName != PLACED.group:
            raise self.exceptions.ResourceNotFoundException({"Error": {"Code": "ResourceNotFoundException"}}, "Create")
        self.streams[logStreamName] = []


def test_events_are_sent_in_time_order_to_a_new_stream(tmp_path: Path) -> None:
    outbox, logs = Outbox(tmp_path / "positions.json"), Logs()
    outbox.put(Event(PLACED, 2, "second"))
    outbox.put(Event(PLACED, 1, "first", "file", "7"))
    assert outbox.flush(logs) == 2
    assert logs.streams == {"i-1": ["first", "second"]}
    assert outbox.flush(logs) == 0
    assert Outbox(tmp_path / "positions.json").position("file") == "7"


def test_unsent_events_are_sent_later_and_once(tmp_path: Path) -> None:
    outbox, logs = Outbox(tmp_path / "positions.json"), Logs()
    outbox.put(Event(PLACED, 1, "kept", "file", "7"))
    logs.failure = EndpointConnectionError(endpoint_url="http://aws")
    with pytest.raises(Unsent, match="http://aws"):
        outbox.flush(logs)
    assert outbox.position("file") is None
    logs.failure = None
    outbox.put(Event(PLACED, 2, "new"))
    outbox.flush(logs)
    assert logs.streams == {"i-1": ["kept", "new"]}


def test_missing_log_group_does_not_block_the_others(tmp_path: Path) -> None:
    outbox, logs = Outbox(tmp_path / "positions.json"), Logs()
    outbox.put(Event(Destination("/missing", "i-1"), 1, "lost"))
    outbox.put(Event(PLACED, 1, "sent"))
    with pytest.raises(Unsent, match="/missing"):
        outbox.flush(logs)
    assert logs.streams == {"i-1": ["sent"]}


def test_batches_stay_within_the_limits_of_one_call() -> None:
    many = [Event(PLACED, 1, "x")] * 25_000
    assert [len(batch) for batch in batches(many)] == [10_000, 10_000, 5_000]
    large = [Event(PLACED, 1, "x" * 2 * EVENT_BYTES)] * 5
    assert [len(batch) for batch in batches(large)] == [4, 1]
    assert 4 * (EVENT_BYTES + 26) <= BATCH_BYTES


def test_events_that_arrive_during_a_flush_are_kept(tmp_path: Path) -> None:
    outbox, logs = Outbox(tmp_path / "positions.json"), Logs()
    threads = [
        threading.Thread(target=lambda: [outbox.put(Event(PLACED, 1, "x")) for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    sent = 0
    while any(thread.is_alive() for thread in threads):
        sent += outbox.flush(logs)
    sent += outbox.flush(logs)
    assert sent == len(logs.streams["i-1"]) == 2_000


def test_processor_usage_covers_the_time_between_two_readings(tmp_path: Path) -> None:
    figures = host_metrics.HostFigures([], tmp_path)
    active = Figure("cpu_usage_active", "Percent")
    (tmp_path / "stat").write_text("cpu  10 0 10 80 0 0 0 0 0 0\n")
    assert figures.values(active) == []
    (tmp_path / "stat").write_text("cpu  30 0 20 140 10 0 0 0 0 0\n")
    assert figures.values(active) == [40.0]


def test_available_memory_is_not_counted_as_used() -> None:
    meminfo = "MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  600 kB\n"
    assert host_metrics.memory_used_percent(meminfo) == 40.0


def test_path_that_is_not_a_mount_point_has_no_metric(tmp_path: Path) -> None:
    figures = host_metrics.HostFigures(["/", str(tmp_path), "/no/such/path"])
    (value,) = figures.values(Figure("disk_used_percent", "Percent"))
    assert 0 < value <= 100


def test_every_supported_host_metric_has_a_value(tmp_path: Path) -> None:
    figures = host_metrics.HostFigures(["/"])
    for name in configuration.FIGURES.values():
        wait_for(lambda name=name: figures.values(Figure(name, "Percent")))


def test_no_host_metric_is_sent_before_the_group_is_known() -> None:
    host = configuration.read(CONFIGURATION, "i-1").host
    assert host_metrics.publish(None, host, host_metrics.HostFigures([]), {"InstanceId": "i-1"}) == 0
