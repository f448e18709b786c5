"""Periodic tasks of AWS: one daemon thread for each task, under the lock of all backends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ollama_gpu.local.embedded_aws.lock import backends_lock

log = logging.getLogger(__name__)


def every(seconds: float, what: str, action: Callable[[], None]) -> threading.Thread:
    """Call ``action`` every ``seconds`` until the process ends. A failure is logged; the next call follows."""

    def run() -> None:
        while True:
            time.sleep(seconds)
            try:
                with backends_lock:
                    action()
            except Exception:
                log.exception("the periodic task failed: %s", what)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    return thread
