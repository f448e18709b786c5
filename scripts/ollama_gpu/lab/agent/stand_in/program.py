"""The stand-in's process: sources put events into the outbox, and one loop sends them and the host's figures."""

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
"""Makes a client of a service at an address, or at AWS's own."""


class StandIn:
    """One run of the agent's work. ``say`` takes a subject and its trouble, None when that has passed."""

    def __init__(
        self,
        wanted: Configuration,
        instance: str,
        clients: Clients,
        state: Path,
        say: Callable[[str, str | None], None],
    ) -> None:
        self._wanted = wanted
        self._instance = instance
        self._say = say
        self._logs = clients("logs", wanted.logs_endpoint)
        self._cloudwatch = clients("cloudwatch", wanted.host.endpoint)
        self._ec2 = clients("ec2", wanted.host.endpoint)
        self.outbox = Outbox(state / "positions.json")
        self._figures = host_metrics.HostFigures(wanted.host.disk_paths)
        self._dimensions: Mapping[str, str] = {}
        self._files = [LogFile(source, self.outbox.position(source.path)) for source in wanted.files]

    def start(self) -> None:
        """Listen, and follow the journal. Raises OSError when an address is in use."""
        if self._wanted.udp:
            embedded_metrics.listen_udp(self._wanted.udp, self._wanted.stream, self.outbox.put)
        if self._wanted.tcp:
            embedded_metrics.listen_tcp(self._wanted.tcp, self._wanted.stream, self.outbox.put)
        for index, source in enumerate(self._wanted.journals):
            arguments = (source, f"journal {index}")
            threading.Thread(target=self._follow, args=arguments, name="journal", daemon=True).start()

    def send_logs(self) -> None:
        """Read the files and send what waits."""
        for file in self._files:
            try:
                for event in file.new_lines():
                    self.outbox.put(event)
                self._say(file.path, None)
            except OSError as error:
                self._say(file.path, str(error.strerror))
        try:
            self.outbox.flush(self._logs)
            self._say("logs", None)
        except Unsent as error:
            self._say("logs", str(error))

    def send_metrics(self) -> None:
        """Send the host's figures, once the instance's group is known."""
        try:
            if "AutoScalingGroupName" not in self._dimensions:
                self._dimensions = identity.dimensions(self._instance, self._ec2)
            host_metrics.publish(self._cloudwatch, self._wanted.host, self._figures, self._dimensions)
            self._say("metrics", None)
        except (ClientError, BotoCoreError) as error:
            self._say("metrics", str(error))

    def _follow(self, source: JournalSource, origin: str) -> None:
        while True:
            try:
                for event in journal.follow(source, origin, self.outbox.position(origin)):
                    self.outbox.put(event)
            except (OSError, ValueError, KeyError) as error:
                self._say(origin, str(error))
            time.sleep(RETRY_SECONDS)


def run(path: Path) -> None:
    """Work by the agent's configuration until that changes, and systemd starts it again, or until SIGTERM.

    Whatever ends it, what waits is sent first.
    """
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    told: dict[str, str] = {}

    def say(subject: str, trouble: str | None) -> None:
        if trouble != told.get(subject):
            print(f"<4>{subject}: {trouble}" if trouble else f"<5>{subject}: well again")
            if trouble:
                told[subject] = trouble
            else:
                told.pop(subject, None)

    version = path.stat().st_mtime_ns
    instance = _identity(say)
    try:
        wanted = configuration.read(json.loads(path.read_text()), instance)
        standing = StandIn(wanted, instance, _clients(wanted.region), Path(os.environ["RUNTIME_DIRECTORY"]), say)
        standing.start()
    except (Unsupported, KeyError, OSError, ValueError) as error:
        sys.exit(f"<3>{path} cannot be followed: {error}")
    print(f"<5>standing in for the CloudWatch agent by {path}")

    logs_at = metrics_at = time.monotonic()
    while not ending.is_set() and path.exists() and path.stat().st_mtime_ns == version:
        if time.monotonic() >= metrics_at:
            metrics_at += wanted.host.interval_seconds
            standing.send_metrics()
        if time.monotonic() >= logs_at:
            logs_at = time.monotonic() + wanted.flush_seconds
            standing.send_logs()
        ending.wait(POLL_SECONDS)
    standing.send_logs()


def _identity(say: Callable[[str, str | None], None]) -> str:
    while True:
        try:
            found = identity.instance_id()
        except OSError as error:
            say("metadata service", str(error))
            time.sleep(RETRY_SECONDS)
        else:
            say("metadata service", None)
            return found


def _clients(region: str) -> Clients:
    session = boto3.session.Session(region_name=region)
    # the loop comes back by itself; a proxy of the environment is not asked for the lab's own addresses
    settings = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 2}, proxies={})
    return lambda service, endpoint: session.client(service, endpoint_url=endpoint, config=settings)  # type: ignore[call-overload]
