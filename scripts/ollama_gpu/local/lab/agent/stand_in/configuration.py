"""The parts of the agent's configuration file that the stand-in supports.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-Agent-Configuration-File-Details.html
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The agent's defaults.
FLUSH_SECONDS = 5
COLLECTION_SECONDS = 60
JOURNAL_PRIORITY = "info"
EMBEDDED_ADDRESS = ("0.0.0.0", 25888)  # noqa: S104

# The supported metrics of the host: the agent's name by section and measurement.
FIGURES = {
    ("cpu", "usage_active"): "cpu_usage_active",
    ("disk", "used_percent"): "disk_used_percent",
    ("mem", "used_percent"): "mem_used_percent",
}


class Unsupported(Exception):
    """The file contains something that the stand-in does not support, named in the message."""


@dataclass(frozen=True)
class Destination:
    """A log group and a stream in it."""

    group: str
    stream: str


@dataclass(frozen=True)
class JournalSource:
    """A selection of the journal. Omits entries (as one line of JSON) that an expression in ``excluded`` matches."""

    destination: Destination
    priority: str
    excluded: tuple[re.Pattern[str], ...]


@dataclass(frozen=True)
class FileSource:
    """A log file with one event per line."""

    destination: Destination
    path: str


@dataclass(frozen=True)
class Figure:
    """A metric of the host, with its name and unit in CloudWatch."""

    name: str
    unit: str


@dataclass(frozen=True)
class HostMetrics:
    """The host's metrics, sent every ``interval_seconds`` for each set of ``dimensions``."""

    namespace: str
    interval_seconds: float
    figures: tuple[Figure, ...]
    disk_paths: tuple[str, ...]
    dimensions: tuple[tuple[str, ...], ...]
    endpoint: str | None


@dataclass(frozen=True)
class Configuration:
    """The file. ``udp`` and ``tcp`` receive the embedded metric format; None where the agent would not listen."""

    region: str
    udp: tuple[str, int] | None
    tcp: tuple[str, int] | None
    stream: str
    journals: tuple[JournalSource, ...]
    files: tuple[FileSource, ...]
    flush_seconds: float
    logs_endpoint: str | None
    host: HostMetrics


def read(document: Mapping[str, Any], instance_id: str) -> Configuration:
    """Parse the file for an instance. Raises Unsupported."""
    _only(document, "the file", "agent", "metrics", "logs")
    agent, logs = document.get("agent", {}), document.get("logs", {})
    _only(agent, "agent", "metrics_collection_interval", "region", "run_as_user")
    _only(
        logs,
        "logs",
        "endpoint_override",
        "force_flush_interval",
        "log_stream_name",
        "logs_collected",
        "metrics_collected",
    )
    if not agent.get("region"):
        raise Unsupported("a configuration without agent.region")
    received, collected = logs.get("metrics_collected", {}), logs.get("logs_collected", {})
    _only(received, "logs.metrics_collected", "emf")
    _only(collected, "logs.logs_collected", "files", "journald")
    stream = _named(logs.get("log_stream_name", "{instance_id}"), instance_id)

    def destination(entry: Mapping[str, Any]) -> Destination:
        return Destination(
            _named(entry["log_group_name"], instance_id), _named(entry.get("log_stream_name", stream), instance_id)
        )

    udp, tcp = _listeners(received)
    return Configuration(
        region=agent["region"],
        udp=udp,
        tcp=tcp,
        stream=stream,
        journals=tuple(
            _journal(entry, destination(entry)) for entry in collected.get("journald", {}).get("collect_list", [])
        ),
        files=tuple(_file(entry, destination(entry)) for entry in collected.get("files", {}).get("collect_list", [])),
        flush_seconds=float(logs.get("force_flush_interval", FLUSH_SECONDS)),
        logs_endpoint=logs.get("endpoint_override"),
        host=_host(document.get("metrics", {}), float(agent.get("metrics_collection_interval", COLLECTION_SECONDS))),
    )


def _listeners(received: Mapping[str, Any]) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    if "emf" not in received:
        return None, None
    _only(received["emf"], "logs.metrics_collected.emf", "service_address")
    wanted = received["emf"].get("service_address")
    if wanted is None:
        return EMBEDDED_ADDRESS, EMBEDDED_ADDRESS
    found = re.fullmatch(r"(udp|tcp):(?://)?([^/:]*):(\d+)", wanted)
    if found is None:
        raise Unsupported(f"logs.metrics_collected.emf.service_address {wanted}")
    address = (found[2] or EMBEDDED_ADDRESS[0], int(found[3]))
    return (address, None) if found[1] == "udp" else (None, address)


def _journal(entry: Mapping[str, Any], destination: Destination) -> JournalSource:
    _only(entry, "journald", "filters", "log_group_name", "log_stream_name", "priority")
    filters = entry.get("filters", [])
    if any(each["type"] != "exclude" for each in filters):
        raise Unsupported("a journald filter that is not of the type exclude")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about nested sets, which the agent's expressions do not have
        excluded = tuple(re.compile(each["expression"]) for each in filters)
    return JournalSource(destination, entry.get("priority", JOURNAL_PRIORITY), excluded)


def _file(entry: Mapping[str, Any], destination: Destination) -> FileSource:
    _only(entry, "files", "file_path", "log_group_name", "log_stream_name")
    if re.search(r"[*?\[]", entry["file_path"]):
        raise Unsupported(f"a pattern for a file's name: {entry['file_path']}")
    return FileSource(destination, entry["file_path"])


def _host(metrics: Mapping[str, Any], interval_seconds: float) -> HostMetrics:
    _only(
        metrics,
        "metrics",
        "aggregation_dimensions",
        "append_dimensions",
        "endpoint_override",
        "metrics_collected",
        "namespace",
    )
    figures, paths = [], []
    for section, wanted in metrics.get("metrics_collected", {}).items():
        _only(wanted, section, "drop_device", "drop_original_metrics", "measurement", "resources", "totalcpu")
        if wanted.get("drop_original_metrics") != ["*"]:
            raise Unsupported(f"{section}: metrics other than the aggregated ones")
        paths += wanted.get("resources", [])
        for each in wanted["measurement"]:
            _only(each, section, "name", "unit")
            if (section, each["name"]) not in FIGURES:
                raise Unsupported(f"{section}: {each['name']}")
            figures.append(Figure(FIGURES[section, each["name"]], each.get("unit", "None")))
    dimensions = tuple(tuple(each) for each in metrics.get("aggregation_dimensions", []))
    known = metrics.get("append_dimensions", {})
    for name in {name for one in dimensions for name in one}:
        if known.get(name) != f"${{aws:{name}}}":
            raise Unsupported(f"the dimension {name}")
    return HostMetrics(
        metrics.get("namespace", "CWAgent"),
        interval_seconds,
        tuple(figures),
        tuple(paths),
        dimensions,
        metrics.get("endpoint_override"),
    )


def _only(found: Mapping[str, Any], where: str, *known: str) -> None:
    for key in found:
        if key not in known:
            raise Unsupported(f"{where}: {key}")


def _named(text: str, instance_id: str) -> str:
    named = text.replace("{instance_id}", instance_id)
    if "{" in named:
        raise Unsupported(f"the placeholder in {text}")
    return named
