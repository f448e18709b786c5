"""Reports the steps of the lab in the progress view, with their reason and their usual duration."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ollama_gpu.local.usual import Usual
from ollama_gpu.terraform.progress import ProgressView


@contextmanager
def progress_step(
    view: ProgressView, name: str, why: str = "", usual: Usual | None = None, record: str | None = None
) -> Iterator[None]:
    """Report the start of the step ``name`` and ``why`` it is needed, then its outcome: done or failed.

    ``usual`` has its usual duration under ``record`` (by default the name), and gets its duration when it is done.
    """
    key = record or name
    if why:
        view.notice(f"{name}: {why}")
    view.started(name, usual.seconds(key) if usual else None)
    began = time.monotonic()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        view.finished(outcome)
    if usual:
        usual.record(key, time.monotonic() - began)
