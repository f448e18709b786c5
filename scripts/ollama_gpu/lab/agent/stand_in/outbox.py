"""Log events on their way to CloudWatch Logs, and how far each source was sent."""

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
    """``timestamp`` in milliseconds since 1970; ``position`` is how far its ``origin`` was read with this event."""

    destination: Destination
    timestamp: int
    message: str
    origin: str = ""
    position: str = ""


class Unsent(Exception):
    """Some events were not taken and wait for the next time; the text is the cause."""


class Outbox:
    """Keeps events until CloudWatch Logs has taken them; of too many it loses the oldest. Threads may put."""

    def __init__(self, positions: Path) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._lock = threading.Lock()
        self._file = positions
        self._positions: dict[str, str] = json.loads(positions.read_text()) if positions.exists() else {}

    def put(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)

    def position(self, origin: str) -> str | None:
        """How far a source was sent, also by a former run; None at first."""
        return self._positions.get(origin)

    def flush(self, logs: Any) -> int:
        """Send everything by a client of CloudWatch Logs; returns how many events. Raises Unsent."""
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
        self._remember()
        if causes:
            with self._lock:
                self._events = deque([*kept, *self._events], maxlen=KEPT_EVENTS)
            raise Unsent("; ".join(causes))
        return len(waiting)

    def _remember(self) -> None:
        unfinished = self._file.with_suffix(".new")
        unfinished.write_text(json.dumps(self._positions))
        unfinished.replace(self._file)


def batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    """Events in their order, cut into what one call may carry."""
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
    said = [
        {"timestamp": event.timestamp, "message": event.message.encode()[:EVENT_BYTES].decode(errors="ignore")}
        for event in sorted(batch, key=lambda event: event.timestamp)
    ]
    try:
        logs.put_log_events(**names, logEvents=said)
    except logs.exceptions.ResourceNotFoundException:
        logs.create_log_stream(**names)  # the group is Terraform's; where it is missing, this says so
        logs.put_log_events(**names, logEvents=said)
