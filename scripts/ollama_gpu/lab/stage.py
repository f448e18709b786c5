"""One step of the lab as the person sees it: that it began, and how it ended after how long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ollama_gpu.progress import ProgressView


@contextmanager
def stage(view: ProgressView, name: str) -> Iterator[None]:
    """Report ``name`` as begun, then as made or failed."""
    view.started(name)
    outcome = "failed"
    try:
        yield
        outcome = "made"
    finally:
        view.finished(outcome)
