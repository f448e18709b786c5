"""Wait for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from ollama_gpu.errors import UserError


def wait_until(condition: Callable[[], bool], what: str, seconds: float, every: float = 1.0) -> None:
    """Return when ``condition`` holds, asked every ``every`` seconds; UserError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise UserError(
                f"Waited {seconds:.0f} s in vain for {what}.",
                "Look at it in the AWS console, then run the command again.",
            )
        time.sleep(every)
