"""Queues log events for CloudWatch Logs, and saves each source's position."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from .configuration import Destination

# PutLogEvents: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
BATCH_EVENTS = 10_000
BATCH_BYTES = 1_048_576
EVENT_OVERHEAD_BYTES = 26
EVENT_BYTES = 256 * 1024 - EVENT_OVERHEAD_BYTES
KEPT_EVENTS = 50_000  # while CloudWatch Logs does not answer


@dataclass(frozen=True)
class Event:
    """``timestamp`` is in milliseconds since 1970; ``position`` is the position in ``origin`` after this event."""

    destination: Destination
    timestamp: int
    message: str
    origin: str = ""
    position: str = ""


class Unsent(Exception):
    """CloudWatch Logs did not accept some events, which stay queued. The message is the cause."""


class Outbox:
    """Keeps events until CloudWatch Logs accepts them. When full, it drops the oldest. `put` is thread-safe."""

    def __init__(self, positions: Path) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._lock = threading.Lock()
        self._file = positions
        self._positions: dict[str, str] = json.loads(positions.read_text()) if positions.exists() else {}

    def put(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)

    def position(self, origin: str) -> str | None:
        """Return a source's position, also from an earlier run; None at first."""
        return self._positions.get(origin)

    def flush(self, logs: Any) -> int:
        """Send all events with a client of CloudWatch Logs; return their number. Raises Unsent."""
        with self._lock:
            waiting = list(self._events)
            self._events.clear()
        by_destination: dict[Destination, list[Event]] = {}
        for event in waiting:
            by_destination.setdefault(event.destination, []).append(event)
        kept: list[Event] = []
        causes: list[str] = []
        for destination, events in by_destination.items():
            sent = 0
            try:
                for batch in batches(events):
                    _send(logs, destination, batch)
                    sent += len(batch)
            except (ClientError, BotoCoreError) as error:
                causes.append(f"{destination.group}: {error}")
                kept += events[sent:]
            self._positions |= {event.origin: event.position for event in events[:sent] if event.origin}
        self._save_positions()
        if causes:
            with self._lock:
                self._events = deque([*kept, *self._events], maxlen=KEPT_EVENTS)
            raise Unsent("; ".join(causes))
        return len(waiting)

    def _save_positions(self) -> None:
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(json.dumps(self._positions))
        unfinished.replace(self._file)


def batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Split events, in order, into batches within the limits of one call."""
    batch: list[Event] = []
    size = 0
    for event in events:
        weight = min(len(event.message.encode()), EVENT_BYTES) + EVENT_OVERHEAD_BYTES
        if batch and (len(batch) == BATCH_EVENTS or size + weight > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += weight
    if batch:
        yield batch


def _send(logs: Any, destination: Destination, batch: Sequence[Event]) -> None:
    names = {"logGroupName": destination.group, "logStreamName": destination.stream}
    entries = [
        {"timestamp": event.timestamp, "message": event.message.encode()[:EVENT_BYTES].decode(errors="ignore")}
        for event in sorted(batch, key=lambda event: event.timestamp)
    ]
    try:
        logs.put_log_events(**names, logEvents=entries)
    except logs.exceptions.ResourceNotFoundException:
        logs.create_log_stream(**names)  # fails if the log group, which Terraform creates, is missing
        logs.put_log_events(**names, logEvents=entries)
