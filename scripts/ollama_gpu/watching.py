"""Look again and again until the person has seen enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ollama_gpu.aws import explain

Seen = TypeVar("Seen")

LEAST_SECONDS = 2.0
"""Between two looks: each asks AWS some twenty questions, which it throttles, and figures come once a minute anyway."""


def watch(
    read: Callable[[], Seen],
    show: Callable[[Seen, str], None],
    every: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show what is read, every so many seconds, until Ctrl-C, which is how it ends well.

    When AWS refuses a look, what was seen before is shown once more, with AWS's words; the first look must go well.
    """
    try:
        seen = read()
        show(seen, "")
        while True:
            sleep(max(every, LEAST_SECONDS))
            try:
                seen = read()
                trouble = ""
            except (BotoCoreError, ClientError) as error:
                trouble = explain(error).message
            show(seen, trouble)
    except KeyboardInterrupt:
        return
