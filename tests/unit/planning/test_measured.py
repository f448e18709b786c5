"""A measurement of a GPU replaces the priors of that GPU only."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core import paths
from ollama_gpu.core.errors import UserError
from ollama_gpu.planning import measured, models, priors, report, scenario
from ollama_gpu.planning.measured import Measured, Point
from ollama_gpu.planning.scenario import Choices, Scenario

RATES = {1: 70.0, 4: 50.0, 8: 30.0, 16: 20.0, 32: 12.0}


def measurement(**changes: Any) -> Measured:
    """Return a plausible measurement of a g5.xlarge; the figures are invented."""
    values: dict[str, Any] = {
        "gpu": "NVIDIA A10G",
        "machine": "g5.xlarge",
        "driver": "580.95.05",
        "ollama": "0.24.0",
        "date": datetime.date(2027, 1, 5),
        "model": "llama3.1:8b",
        "parameters": 8.03,
        "mix": "q4_k_m",
        "weights_bytes": 4_912_898_048,
        "size": 9_000_000_000,
        "on_gpu": 9_000_000_000,
        "used_before": 0,
        "slots": 32,
        "context": 1024,
        "prompt_tokens": 700,
        "answer_tokens": 128,
        "prompt_rate": 1500.0,
        "points": [
            {
                "streams": streams,
                "tokens_per_second": rate,
                "first_token_p50": 0.5,
                "first_token_p95": 0.9,
                "answers": 10,
            }
            for streams, rate in RATES.items()
        ],
    }
    return Measured.model_validate(values | changes)


def planned(folder: Path, **choices: Any) -> Scenario:
    chosen = {"model": "llama3.1:8b", "instance_type": "g5.xlarge", "figures": folder, "slots": 8, **choices}
    return scenario.load(paths.locate(), "prod", Choices(**chosen))


def test_planner_uses_the_measured_rates(tmp_path: Path) -> None:
    measured.write(measurement(), tmp_path)
    found = planned(tmp_path)
    rates = found.engine.stream_rates
    assert [rates[streams] for streams in (1, 4, 8)] == pytest.approx([70, 50, 30], rel=0.003)
    assert found.engine.prompt_rate == pytest.approx(1500)


def test_report_shows_where_and_when_priors_were_measured(tmp_path: Path) -> None:
    measured.write(measurement(), tmp_path)
    rows = {row[0]: row[2] for row in report.prior_rows(planned(tmp_path).priors, "A10G")}
    for name in ("A10G", "batching"):
        assert rows[name].startswith("measured 2027-01-05: NVIDIA A10G of a g5.xlarge, driver 580.95.05, Ollama 0.24.0")


def test_another_model_uses_the_same_share_of_memory_bandwidth(tmp_path: Path) -> None:
    measured.write(measurement(), tmp_path)
    small = planned(tmp_path, model="llama3.2:3b").engine
    eight = planned(tmp_path).engine
    assert small.stream_rates[1] == pytest.approx(eight.stream_rates[1] * 4.92 / 2.02)
    assert small.prompt_rate == pytest.approx(1500 * 8.03 / 3.2)


def test_another_gpu_keeps_its_prior(tmp_path: Path) -> None:
    measured.write(measurement(), tmp_path)
    assert measured.of("L4", models.of("llama3.1:8b"), measured.load(tmp_path)) is None
    known = measured.apply(priors.load(), "A10G", measurement())
    assert known.gpus["L4"] == priors.load().gpus["L4"]
    with pytest.raises(UserError, match="no measurement of a GPU L4"):
        planned(tmp_path, instance_type="g6.xlarge")


def test_newest_measurement_of_the_nearest_model_is_used(tmp_path: Path) -> None:
    every = [
        measurement(model="llama3.2:3b", parameters=3.2),
        measurement(date=datetime.date(2026, 12, 1)),
        measurement(),
    ]
    found = measured.of("A10G", models.of("qwen3:8b"), every)
    assert found is every[2]
    nearest = measured.of("A10G", models.of("gemma3:4b"), every)
    assert nearest is every[0]


@pytest.mark.parametrize(
    ("name", "gpu"),
    [("NVIDIA A10G", "A10G"), ("Tesla T4", "T4"), ("Tesla V100-SXM2-16GB", "V100"), ("NVIDIA L40S", "L40S")],
)
def test_driver_name_of_a_gpu_is_recognized(name: str, gpu: str) -> None:
    assert [each for each in priors.load().gpus if measured.is_gpu(name, each)] == [gpu]


def test_measurement_partly_on_a_cpu_is_an_error(tmp_path: Path) -> None:
    measured.write(measurement(on_gpu=8_000_000_000), tmp_path)
    with pytest.raises(UserError, match="8000000000 of 9000000000"):
        planned(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"points": []},
        {"points": [{"streams": 4, "tokens_per_second": 1, "first_token_p50": 1, "first_token_p95": 1, "answers": 1}]},
        {"prompt_rate": 0},
        {"surprise": 1},
    ],
)
def test_error_names_an_invalid_measurement_file(tmp_path: Path, change: dict[str, Any]) -> None:
    values = json.loads(measurement().model_dump_json()) | change
    (tmp_path / "broken.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"broken\.json is not a valid measurement"):
        measured.load(tmp_path)


def test_new_measurement_replaces_the_old_one(tmp_path: Path) -> None:
    first = measured.write(measurement(), tmp_path)
    second = measured.write(measurement(prompt_rate=1600.0), tmp_path)
    assert first == second
    assert first.name == "nvidia-a10g-llama3.1-8b.json"
    assert [each.prompt_rate for each in measured.load(tmp_path)] == [1600]


def test_total_rate_is_the_sum_of_all_streams() -> None:
    point = Point(streams=4, tokens_per_second=50, first_token_p50=0.1, first_token_p95=0.2, answers=3)
    assert point.together == 200
