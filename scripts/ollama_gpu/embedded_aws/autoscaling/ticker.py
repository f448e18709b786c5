"""What moves the emulation on: a tick of every group, by hand in tests, by a thread in the server."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from ollama_gpu.embedded_aws.exclusion import backends_lock

from . import activities, reconcile
from .clock import aware
from .region import all_regions

log = logging.getLogger(__name__)


def tick(now: datetime) -> None:
    """Bring every group of every account and region to ``now``, which never runs backwards.

    A group that fails does not keep the others waiting; the failures are raised together, in an
    ExceptionGroup.
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
    """Ticks until it is stopped; a tick that fails is logged and the next one comes."""

    def __init__(self, interval_seconds: float) -> None:
        super().__init__(name="autoscaling-ticker", daemon=True)
        self._interval = interval_seconds
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._interval):
            try:
                tick(datetime.now(UTC))
            except Exception:
                log.exception("Auto Scaling tick")

    def stop(self) -> None:
        """End the ticking and wait for the tick that runs."""
        self._stopped.set()
        self.join()


def start_ticker(interval_seconds: float) -> Ticker:
    """Tick every ``interval_seconds`` in a daemon thread, which is returned."""
    ticker = Ticker(interval_seconds)
    ticker.start()
    return ticker
