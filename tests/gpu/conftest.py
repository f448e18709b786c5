"""Tests of a GPU host. On any other machine each is skipped with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import random_model
from ollama_gpu.planning.models import Model
from tests.gpu import host, scratch
from tests.gpu.scratch import Scratch

TINY = Model(
    name="tiny",
    parameters=0.003,
    weights_gb=0.002,
    architecture="llama",
    layers=4,
    heads=4,
    kv_heads=2,
    head_length=64,
    embedding_length=256,
    vocabulary=1024,
    context=4096,
    feed_forward=512,
)
"""The model for the gate's tests: it loads in a second, and any GPU has room for it next to production models."""


@pytest.fixture(scope="session", autouse=True)
def _needs_a_gpu_host() -> None:
    if reason := host.not_run():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def unit(_needs_a_gpu_host: None) -> Iterator[Scratch]:
    """A separate unit with the tiny model to load; it is always removed at the end."""
    with scratch.scratch() as found:
        found.serve(random_model.write(TINY, "q4_k_m", found.locations.folder / "model.gguf"))
        yield found
