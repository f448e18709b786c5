"""The tables of `status`, from a value of `status.read`."""

from __future__ import annotations

from typing import Any

from ollama_gpu.observe.status_screen import boot_line, tables
from ollama_gpu.planning.cost_now import an_hour

LOAD: dict[str, Any] = dict.fromkeys(
    ["inference_load_percent", "in_flight", "queued", "slots", "gpu_utilization_percent", "gpu_memory_percent",
     "gpu_temperature_celsius", "first_token_p50_ms", "first_token_p95_ms", "requests", "rejected"]
)  # fmt: skip
INSTANCE_LOAD: dict[str, Any] = dict.fromkeys(
    ["in_flight", "queued", "slots", "gpus", "gpu_errors", "model_on_gpu"]
)  # fmt: skip
SEEN: dict[str, Any] = {
    "environment": "prod",
    "region": "eu-central-1",
    "endpoint": None,
    "time": "2026-11-23T12:00:00Z",
    "url": "https://chat.example.org",
    "release": "4f2a9c1",
    "last_release": {
        "number": 7,
        "release": "4f2a9c1",
        "outcome": "failed",
        "cause": "the refresh failed\nbecause",
        "by": "ann",
        "ended": "2026-11-23T11:00:00.5Z",
    },
    "rollouts": [],
    "cost_an_hour": {"usd": 2.012, "instances": 2, "prices_of": "2026-07-20"},
    "fleets": {
        "interactive": {
            "group": "g",
            "desired": 2,
            "min": 2,
            "max": 4,
            "targets": {"healthy": 1, "unhealthy": 1},
            "last_activity": "Launching a new EC2 instance: i-1",
            "load": {
                **LOAD,
                "inference_load_percent": 87.5,
                "in_flight": 7.0,
                "slots": 8.0,
                "queued": 0.0,
                "first_token_p50_ms": 310.0,
                "first_token_p95_ms": 1490.0,
            },
            "instances": [
                {
                    "id": "i-1",
                    "type": "g5.xlarge",
                    "zone": "eu-central-1a",
                    "state": "InService",
                    "health": "Unhealthy",
                    "models": {"serves": ["gemma3:4b@a2af6cc3eb7f"]},
                    "boot": [],
                    "load": {**INSTANCE_LOAD, "gpus": 1.0, "model_on_gpu": 0.0},
                }
            ],
        },
        "batch": {"group": "b", "missing": True, "instances": [], "targets": {}, "load": LOAD},
    },
    "alarms": {
        "states": {"OK": 40, "ALARM": 1},
        "ringing": [
            {"what": "interactive-queue", "state": "ALARM", "since": "2026-11-23T11:58:00Z", "reason": "5 of 5",
             "runbook": "docs/operations.md#alarm-queue", "name": "ollama-gpu-prod-interactive-queue"},
        ],
    },
}  # fmt: skip


def rows(title: str, trouble: str = "") -> list[list[str]]:
    found = next(table for table in tables(SEEN, trouble) if table.title.startswith(title))
    assert all(len(row) == len(found.columns) for row in found.rows)
    return [list(row) for row in found.rows]


def test_fleet_shows_load_queue_first_token_and_dash_without_data() -> None:
    interactive, batch = rows("fleets")
    assert interactive == [
        "interactive", "1 of 2 (2 to 4)", "1 healthy, 1 unhealthy", "88 %",
        "7 of 8", "0", "310 / 1490 ms", "-", "-", "-",
    ]  # fmt: skip
    assert batch[1] == "Auto Scaling group b not found"


def test_instance_shows_model_that_is_not_on_gpu() -> None:
    [instance] = rows("instances")
    assert instance[:4] == ["i-1", "interactive", "g5.xlarge, eu-central-1a", "InService, Unhealthy"]
    assert instance[6:9] == ["1", "NO", "gemma3:4b@a2af6cc3eb7f"]


def test_alarm_shows_time_reason_and_runbook() -> None:
    assert rows("firing alarms") == [
        ["interactive-queue", "2026-11-23T11:58:00Z", "5 of 5", "docs/operations.md#alarm-queue"]
    ]


def test_release_and_cost_are_one_line_each() -> None:
    shown = {row[0]: row[1] for row in rows("ENV=prod")}
    assert shown["release"] == "7 (4f2a9c1) failed: the refresh failed, by ann, 2026-11-23T11:00:00Z"
    assert shown["cost per hour"].startswith("2.01 USD for 2 instances only (prices of 2026-07-20")
    assert an_hour("us-east-1", [("g5.xlarge", False), ("g5.xlarge", True)])["usd"] > 1.006
    assert "No price of x1.big" in an_hour("us-east-1", [("x1.big", False)])["unknown"]
    assert "No prices of moon-1" in an_hour("moon-1", [])["unknown"]


def test_failed_refresh_is_first_row() -> None:
    assert rows("ENV=prod", trouble="AWS throttles")[0] == ["refresh failed", "AWS throttles"]
    assert rows("ENV=prod")[0] == ["front door", "https://chat.example.org"]


def test_boot_line_shows_long_running_and_failed_steps() -> None:
    steps = [
        {"step": "describe", "result": "ok", "seconds": 0.1},
        {"step": "converge", "result": "ok", "seconds": 61.4},
        {"step": "launch", "result": "started"},
    ]
    assert boot_line(steps) == "converge 61 s, launch ..."
    assert boot_line([{"step": "gpu", "result": "failed", "cause": "none"}]) == "gpu FAILED: none"
    assert boot_line([]) == "-"
