"""Metric data by metric and minute: an hour of chats is a hundred thousand data, and every alarm looks at some of them.

moto keeps one list in the order of arrival. The index grows with it and is made anew when the list was replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

Key = tuple[str, str, frozenset[tuple[str, str]]]
"""What tells one metric from another: namespace, name and dimensions."""

_MINUTE = timedelta(minutes=1)
_lock = threading.Lock()


class _Index:
    def __init__(self, data: list[Any]) -> None:
        self.data = data
        self.length = 0
        self.minutes: dict[Key, dict[datetime, list[Any]]] = {}

    def catch_up(self) -> None:
        for datum in self.data[self.length :]:
            key = (datum.namespace, datum.name, frozenset((each.name, each.value) for each in datum.dimensions))
            minute = datum.timestamp.replace(second=0, microsecond=0)
            self.minutes.setdefault(key, {}).setdefault(minute, []).append(datum)
            self.length += 1


def select(backend: Any, metric: Key, unit: str | None, start: datetime, end: datetime) -> Iterator[Any]:
    """A metric's data from ``start`` to before ``end``, in naive UTC as moto has it; of one unit if that is given."""
    with _lock:
        index = getattr(backend, "metric_index", None)
        if index is None or index.data is not backend.metric_data or index.length > len(index.data):
            index = backend.metric_index = _Index(backend.metric_data)
        index.catch_up()
        minutes = index.minutes.get(metric, {})
        within = [minute for minute in minutes if start - _MINUTE < minute < end]
        found = [datum for minute in sorted(within) for datum in minutes[minute]]
    for datum in found:
        if start <= datum.timestamp < end and unit in (None, datum.unit):
            yield datum
