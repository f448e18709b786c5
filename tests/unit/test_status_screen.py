"""What the screen says of the models that instances serve."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_gpu.status_screen import tables


def screen(*models: dict[str, Any]) -> str:
    """The row `models`, for instances that serve these."""
    load = dict.fromkeys(("in_flight", "slots", "queued", "gpus", "model_on_gpu"))
    fleet_load = dict.fromkeys(
        ("inference_load_percent", "in_flight", "slots", "queued", "first_token_p50_ms", "first_token_p95_ms")
    )
    fleet_load |= dict.fromkeys(("rejected", "gpu_utilization_percent", "gpu_memory_percent"))
    instances = [
        {"id": f"i-{number}", "type": "g5.xlarge", "zone": "a", "state": "InService", "health": "Healthy"}
        | {"models": each, "boot": [], "load": load}
        for number, each in enumerate(models)
    ]
    fleet = {"group": "g", "desired": 2, "min": 2, "max": 4, "instances": instances, "targets": {}, "load": fleet_load}
    seen = {"environment": "prod", "region": "r", "endpoint": None, "time": "now", "url": "u", "release": "1"}
    seen |= {"fleets": {"interactive": fleet}, "alarms": {"states": {}, "ringing": []}}
    return dict(tables(seen)[0].rows)["models"]


ONE, TWO = {"serves": ["a@1"]}, {"serves": ["a@1", "b@2"]}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ((TWO, TWO), "a@1, b@2"),
        ((ONE, TWO), "a@1 (1 of 2); a@1, b@2 (1 of 2)"),
        ((ONE, {"serves": []}), "a@1 (1 of 2); nothing told yet (1 of 2)"),
        ((ONE, {**ONE, "failed": "no room"}), "a@1; i-1 cannot follow: no room"),
        ((), "-"),
    ],
)
def test_the_models_are_named_once_where_all_serve_the_same(models: tuple[dict[str, Any], ...], said: str) -> None:
    assert screen(*models) == said
