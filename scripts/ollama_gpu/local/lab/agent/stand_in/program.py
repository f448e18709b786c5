"""The stand-in's process: sources put events into the outbox, and one loop sends them and the host's metrics."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from . import configuration, embedded_metrics, host_metrics, identity, journal
from .configuration import Configuration, JournalSource, Unsupported
from .log_files import LogFile
from .outbox import Outbox, Unsent

POLL_SECONDS = 1.0
RETRY_SECONDS = 2.0

Clients = Callable[[str, str | None], Any]
"""Creates a client of a service at an endpoint, or at AWS's default endpoint."""


class StandIn:
    """One run of the stand-in. ``report`` gets a subject and its error, or None after its recovery."""

    def __init__(
        self,
        wanted: Configuration,
        instance: str,
        clients: Clients,
        state: Path,
        report: Callable[[str, str | None], None],
    ) -> None:
        self._wanted = wanted
        self._instance = instance
        self._report = report
        self._logs = clients("logs", wanted.logs_endpoint)
        self._cloudwatch = clients("cloudwatch", wanted.host.endpoint)
        self._ec2 = clients("ec2", wanted.host.endpoint)
        self.outbox = Outbox(state / "positions.json")
        self._figures = host_metrics.HostFigures(wanted.host.disk_paths)
        self._dimensions: Mapping[str, str] = {}
        self._files = [LogFile(source, self.outbox.position(source.path)) for source in wanted.files]

    def start(self) -> None:
        """Listen on the addresses and follow the journal. Raises OSError when an address is in use."""
        if self._wanted.udp:
            embedded_metrics.listen_udp(self._wanted.udp, self._wanted.stream, self.outbox.put)
        if self._wanted.tcp:
            embedded_metrics.listen_tcp(self._wanted.tcp, self._wanted.stream, self.outbox.put)
        for index, source in enumerate(self._wanted.journals):
            arguments = (source, f"journal {index}")
            threading.Thread(target=self._follow, args=arguments, name="journal", daemon=True).start()

    def send_logs(self) -> None:
        """Read the log files and send all queued events."""
        for file in self._files:
            try:
                for event in file.new_lines():
                    self.outbox.put(event)
                self._report(file.path, None)
            except OSError as error:
                self._report(file.path, str(error.strerror))
        try:
            self.outbox.flush(self._logs)
            self._report("logs", None)
        except Unsent as error:
            self._report("logs", str(error))

    def send_metrics(self) -> None:
        """Send the host's metrics, once the instance's group is known."""
        try:
            if "AutoScalingGroupName" not in self._dimensions:
                self._dimensions = identity.dimensions(self._instance, self._ec2)
            host_metrics.publish(self._cloudwatch, self._wanted.host, self._figures, self._dimensions)
            self._report("metrics", None)
        except (ClientError, BotoCoreError) as error:
            self._report("metrics", str(error))

    def _follow(self, source: JournalSource, origin: str) -> None:
        while True:
            try:
                for event in journal.follow(source, origin, self.outbox.position(origin)):
                    self.outbox.put(event)
            except (OSError, ValueError, KeyError) as error:
                self._report(origin, str(error))
            time.sleep(RETRY_SECONDS)


def run(path: Path) -> None:
    """Run with the agent's configuration until it changes (systemd then restarts the program) or until SIGTERM.

    Send all queued events before the end.
    """
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    reported: dict[str, str] = {}

    def report(subject: str, error: str | None) -> None:
        if error != reported.get(subject):
            print(f"<4>{subject}: {error}" if error else f"<5>{subject}: recovered")
            if error:
                reported[subject] = error
            else:
                reported.pop(subject, None)

    version = path.stat().st_mtime_ns
    instance = _identity(report)
    try:
        wanted = configuration.read(json.loads(path.read_text()), instance)
        stand_in = StandIn(wanted, instance, _clients(wanted.region), Path(os.environ["RUNTIME_DIRECTORY"]), report)
        stand_in.start()
    except (Unsupported, KeyError, OSError, ValueError) as error:
        sys.exit(f"<3>cannot use the configuration {path}: {error}")
    print(f"<5>replacing the CloudWatch agent, with its configuration {path}")

    logs_at = metrics_at = time.monotonic()
    while not ending.is_set() and path.exists() and path.stat().st_mtime_ns == version:
        if time.monotonic() >= metrics_at:
            metrics_at += wanted.host.interval_seconds
            stand_in.send_metrics()
        if time.monotonic() >= logs_at:
            logs_at = time.monotonic() + wanted.flush_seconds
            stand_in.send_logs()
        ending.wait(POLL_SECONDS)
    stand_in.send_logs()


def _identity(report: Callable[[str, str | None], None]) -> str:
    while True:
        try:
            found = identity.instance_id()
        except OSError as error:
            report("metadata service", str(error))
            time.sleep(RETRY_SECONDS)
        else:
            report("metadata service", None)
            return found


def _clients(region: str) -> Clients:
    session = boto3.session.Session(region_name=region)
    # Few attempts, because the loop tries again; no proxy, because the addresses are the lab's.
    settings = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2}, proxies={})
    return lambda service, endpoint: session.client(service, endpoint_url=endpoint, config=settings)  # type: ignore[call-overload]
