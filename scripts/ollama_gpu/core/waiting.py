"""Wait for a condition."""

from __future__ import annotations

import time
from collections.abc import Callable

from ollama_gpu.core.errors import UserError


def wait_until(condition: Callable[[], bool], what: str, seconds: float, every: float = 1.0) -> None:
    """Check ``condition`` every ``every`` seconds until it is true. Raises UserError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise UserError(
                f"Timed out after {seconds:.0f} s waiting for {what}.",
                "Check the resource in the AWS console, then run the command again.",
            )
        time.sleep(every)
