"""Tick every group: from a thread in the server, explicitly in tests."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from ollama_gpu.local.embedded_aws.lock import backends_lock

from . import activities, reconcile
from .region import all_regions
from .timestamps import aware

log = logging.getLogger(__name__)


def tick(now: datetime) -> None:
    """Advance every group of every account and region to ``now``. Time never moves back.

    A group that fails does not stop the others. The failures are raised together as an ExceptionGroup.
    """
    failures: list[Exception] = []
    with backends_lock:
        for region in all_regions():
            if not region.groups:
                continue
            present = region.advance(aware(now))
            activities.forget_old(region, present)
            for group in list(region.groups.values()):
                try:
                    reconcile.tick(region, group, present)
                except Exception as error:
                    error.add_note(f"while ticking Auto Scaling group {group.name}")
                    failures.append(error)
    if failures:
        raise ExceptionGroup("Auto Scaling groups failed to tick", failures)


class Ticker(threading.Thread):
    """A thread that ticks until it is stopped. It logs a failed tick and continues."""

    def __init__(self, interval_seconds: float) -> None:
        super().__init__(name="autoscaling-ticker", daemon=True)
        self._interval = interval_seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                tick(datetime.now(UTC))
            except Exception:
                log.exception("the Auto Scaling tick failed")

    def stop(self) -> None:
        """Stop after the current tick and wait for it."""
        self._stopped.set()
        self.join()


def start_ticker(interval_seconds: float) -> Ticker:
    """Start a daemon thread that ticks every ``interval_seconds``, and return it."""
    ticker = Ticker(interval_seconds)
    ticker.start()
    return ticker
