"""Ctrl-C that does not get lost.

Python ignores an exception that a finalizer raises, so a KeyboardInterrupt that arrives during one is dropped and a
loop without an end goes on. The handler therefore remembers it, and `sleep` raises it again.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

_seen = False


def remember() -> None:
    """Install the handler, unless SIGINT is ignored or has another handler."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)


def sleep(seconds: float) -> None:
    """Sleep. Raises KeyboardInterrupt if Ctrl-C was pressed at any time before."""
    time.sleep(0 if _seen else seconds)
    if _seen:
        raise KeyboardInterrupt


def _interrupted(number: int, frame: FrameType | None) -> None:
    global _seen
    _seen = True
    signal.default_int_handler(number, frame)
