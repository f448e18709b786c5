"""What verify makes of what it saw."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from ollama_gpu import deployed, verify
from ollama_gpu.alarms import Alarm
from ollama_gpu.chat import Chat
from ollama_gpu.checks import Check, State
from ollama_gpu.cli import app
from ollama_gpu.errors import UserError
from ollama_gpu.load import InstanceLoad
from ollama_gpu.verify import chats, gpu, ringing

GOAL = 2000.0


def chat(first_token_ms: float) -> Chat:
    return Chat("https://chat.example.org", "gemma3:4b", "Paris.", first_token_ms, first_token_ms + 100)


def states(*first_tokens: float, without_gpu: bool = False) -> list[str]:
    rows = chats([chat(each) for each in first_tokens], GOAL, without_gpu, "prod")
    return [row.state for row in rows]


def test_the_median_first_token_is_held_against_the_goal() -> None:
    assert states(100, 200, 9000) == ["ok", "ok"]
    assert states(100, 2001, 9000) == ["ok", "failed"]


def test_without_a_gpu_a_slow_first_token_is_said_and_fails_nothing() -> None:
    assert states(9000, 9000, 9000, without_gpu=True) == ["ok", "warning"]


def test_a_chat_that_fails_is_one_row_with_the_remedy() -> None:
    [row] = chats(UserError("no answer.", "Look."), GOAL, without_gpu=False, name="prod")
    assert (row.state, row.seen, row.remedy) == ("failed", "no answer.", "Look.")


@pytest.mark.parametrize(
    ("gpus", "model_on_gpu", "state", "says"),
    [
        (1.0, 1.0, "ok", "wholly"),
        (4.0, 0.0, "failed", "alarm-model-on-cpu"),
        (4.0, 0.5, "failed", "alarm-model-on-cpu"),
        (0.0, None, "failed", "alarm-gpu-missing"),
        (None, None, "failed", "alarm-gpu-silent"),
        (1.0, None, "warning", "no model is loaded"),
    ],
)
def test_an_instances_gpu_is_judged_by_what_it_reports(
    gpus: float | None, model_on_gpu: float | None, state: str, says: str
) -> None:
    row = gpu("i-1", InstanceLoad(0, 0, 8, gpus, 0, model_on_gpu), wanted=True)
    assert row.state == state
    assert says in f"{row.seen} {row.remedy}"


def test_an_environment_without_gpus_says_so_and_does_not_fail() -> None:
    row = gpu("i-1", InstanceLoad(0, 0, 8, 0, 0, 0), wanted=False)
    assert (row.state, "no GPU" in row.seen) == ("skipped", True)


def alarm(what: str, state: str, threshold: float | None = 1.0) -> Alarm:
    return Alarm(f"ollama-gpu-prod-{what}", what, state, datetime.now(UTC), "", f"docs/operations.md#{what}", threshold)


def rings(*found: Alarm, without_gpu: bool = False) -> str:
    return ringing(found, without_gpu).state


def test_the_composite_alarm_fails_and_another_warns() -> None:
    assert rings(alarm("queue", "OK"), alarm("service-degraded", "OK", None)) == "ok"
    assert rings(alarm("queue", "ALARM"), alarm("service-degraded", "OK", None)) == "warning"
    assert rings(alarm("queue", "ALARM"), alarm("service-degraded", "ALARM", None)) == "failed"
    assert rings() == "warning"


def test_without_a_gpu_the_composite_alarm_rings_for_good_and_fails_nothing() -> None:
    assert rings(alarm("service-degraded", "ALARM", None), without_gpu=True) == "warning"


@pytest.mark.parametrize(("worst", "status"), [("ok", 0), ("skipped", 0), ("warning", 0), ("failed", 1)])
@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_a_script_is_told_by_the_exit_status_alone(
    monkeypatch: pytest.MonkeyPatch, worst: State, status: int, as_json: bool
) -> None:
    rows = [Check("chat", "ok", "3"), Check("alarms", worst, "seen"), Check("GPU of i-1", "ok", "1")]
    monkeypatch.setattr(deployed, "deployed", lambda env: (env, {}))
    monkeypatch.setattr(verify, "run", lambda *_: rows)
    ran = CliRunner().invoke(app, ["verify", "--env", "prod", *(["--json"] if as_json else [])])
    assert ran.exit_code == status
    assert not as_json or [each["state"] for each in json.loads(ran.stdout)] == ["ok", worst, "ok"]
