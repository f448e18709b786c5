"""An index of metric data by metric and minute, because an hour of chats produces a hundred thousand data points.

moto keeps one list in the order of arrival. The index grows with the list and is rebuilt when the list is replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

Key = tuple[str, str, frozenset[tuple[str, str]]]
"""The identity of a metric: namespace, name and dimensions."""

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
    """Yield a metric's data from ``start`` until before ``end`` (naive UTC, as in moto), only of ``unit`` if given."""
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
