"""The rows and the exit status of `verify`."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from ollama_gpu.cli import deployed
from ollama_gpu.cli.app import app
from ollama_gpu.core.chat import Chat
from ollama_gpu.core.checks import Check, State
from ollama_gpu.core.errors import UserError
from ollama_gpu.deploy import verify
from ollama_gpu.deploy.verify import alarm_row, chat_rows, gpu_row
from ollama_gpu.observe.alarms import Alarm
from ollama_gpu.observe.load import InstanceLoad

TARGET = 2000.0


def chat(first_token_ms: float) -> Chat:
    return Chat("https://chat.example.org", "gemma3:4b", "Paris.", first_token_ms, first_token_ms + 100)


def states(*first_tokens: float, without_gpu: bool = False) -> list[str]:
    rows = chat_rows([chat(each) for each in first_tokens], TARGET, without_gpu, "prod")
    return [row.state for row in rows]


def test_median_first_token_is_compared_with_target() -> None:
    assert states(100, 200, 9000) == ["ok", "ok"]
    assert states(100, 2001, 9000) == ["ok", "failed"]


def test_slow_first_token_without_gpu_is_warning() -> None:
    assert states(9000, 9000, 9000, without_gpu=True) == ["ok", "warning"]


def test_failed_chat_is_one_row_with_remedy() -> None:
    [row] = chat_rows(UserError("no answer.", "Look."), TARGET, without_gpu=False, name="prod")
    assert (row.state, row.seen, row.remedy) == ("failed", "no answer.", "Look.")


@pytest.mark.parametrize(
    ("gpus", "model_on_gpu", "state", "text"),
    [
        (1.0, 1.0, "ok", "all loaded models are on the GPU"),
        (4.0, 0.0, "failed", "alarm-model-on-cpu"),
        (4.0, 0.5, "failed", "alarm-model-on-cpu"),
        (0.0, None, "failed", "alarm-gpu-missing"),
        (None, None, "failed", "alarm-gpu-silent"),
        (1.0, None, "warning", "no model is loaded"),
    ],
)
def test_gpu_row_follows_instance_metrics(
    gpus: float | None, model_on_gpu: float | None, state: str, text: str
) -> None:
    row = gpu_row("i-1", InstanceLoad(0, 0, 8, gpus, 0, model_on_gpu), required=True)
    assert row.state == state
    assert text in f"{row.seen} {row.remedy}"


def test_gpu_row_without_required_gpu_is_skipped() -> None:
    row = gpu_row("i-1", InstanceLoad(0, 0, 8, 0, 0, 0), required=False)
    assert (row.state, "without a GPU" in row.seen) == ("skipped", True)


def alarm(what: str, state: str, threshold: float | None = 1.0) -> Alarm:
    return Alarm(f"ollama-gpu-prod-{what}", what, state, datetime.now(UTC), "", f"docs/operations.md#{what}", threshold)


def alarm_state(*found: Alarm, without_gpu: bool = False) -> str:
    return alarm_row(found, without_gpu).state


def test_composite_alarm_fails_and_metric_alarm_warns() -> None:
    assert alarm_state(alarm("queue", "OK"), alarm("service-degraded", "OK", None)) == "ok"
    assert alarm_state(alarm("queue", "ALARM"), alarm("service-degraded", "OK", None)) == "warning"
    assert alarm_state(alarm("queue", "ALARM"), alarm("service-degraded", "ALARM", None)) == "failed"
    assert alarm_state() == "warning"


def test_composite_alarm_without_gpu_is_warning() -> None:
    assert alarm_state(alarm("service-degraded", "ALARM", None), without_gpu=True) == "warning"


@pytest.mark.parametrize(("worst", "status"), [("ok", 0), ("skipped", 0), ("warning", 0), ("failed", 1)])
@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_exit_status_is_1_only_if_a_check_failed(
    monkeypatch: pytest.MonkeyPatch, worst: State, status: int, as_json: bool
) -> None:
    rows = [Check("chat", "ok", "3"), Check("alarms", worst, "seen"), Check("GPU of i-1", "ok", "1")]
    monkeypatch.setattr(deployed, "deployed", lambda env: (env, {}))
    monkeypatch.setattr(verify, "run", lambda *_: rows)
    ran = CliRunner().invoke(app, ["verify", "--env", "prod", *(["--json"] if as_json else [])])
    assert ran.exit_code == status
    assert not as_json or [each["state"] for each in json.loads(ran.stdout)] == ["ok", worst, "ok"]
