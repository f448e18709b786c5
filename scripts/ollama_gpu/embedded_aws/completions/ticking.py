"""Work that AWS does by itself, now and then: one daemon thread for each kind, under the lock of all backends."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ollama_gpu.embedded_aws.exclusion import backends_lock

log = logging.getLogger(__name__)


def every(seconds: float, what: str, action: Callable[[], None]) -> threading.Thread:
    """Call ``action`` every ``seconds`` for as long as the process lives; a failure is logged and forgotten."""

    def run() -> None:
        while True:
            time.sleep(seconds)
            try:
                with backends_lock:
                    action()
            except Exception:
                log.exception(what)

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    return thread
