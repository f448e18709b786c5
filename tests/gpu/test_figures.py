"""Performance of the GPU: an 8B's shape at 1 to 32 streams, on the role's own unit. Figures stay in the work folder.

`sudo make gpu-figures` measures the same and gives the figures to the planner.
"""

from __future__ import annotations

import pytest

from bench import gpu
from ollama_gpu.planning import measured, models
from ollama_gpu.planning.measured import Measured
from tests.gpu import scratch
from tests.tiers import WORK

FIRST_TOKEN_SECONDS = 2.0  # requirement 1.5


@pytest.fixture(scope="module")
def figures(_needs_a_gpu_host: None) -> Measured:
    with scratch.scratch() as unit:
        found = gpu.measure_host(unit, models.of("llama3.1:8b"), "q4_k_m", gpu.Load())
    measured.write(found, WORK / "gpu-figures")
    gpu.show(found)
    return found


def test_the_model_is_entirely_on_the_gpu(figures: Measured) -> None:
    assert figures.on_gpu == figures.size > figures.weights_bytes


def test_every_number_of_streams_was_measured(figures: Measured) -> None:
    assert tuple(point.streams for point in figures.points) == gpu.STREAMS
    assert all(point.answers >= 2 * point.streams for point in figures.points)


def test_a_single_users_first_token_comes_within_two_seconds(figures: Measured) -> None:
    assert figures.points[0].first_token_p95 < FIRST_TOKEN_SECONDS


def test_parallel_streams_are_faster_together_than_one(figures: Measured) -> None:
    together = {point.streams: point.together for point in figures.points}
    assert together[8] > 1.3 * together[1]  # the lowest published figure: ollama#10214
    assert together[32] > 0.9 * max(together.values())


def test_the_planner_can_load_the_figures(figures: Measured) -> None:
    kept = measured.load(WORK / "gpu-figures")
    assert figures in kept
