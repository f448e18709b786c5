"""The story of a deploy: the plan at the start, each step, and the records of their durations."""

from __future__ import annotations

from pathlib import Path

from ollama_gpu.bake.forecast import Forecast, Step
from ollama_gpu.deploy.story import Story
from ollama_gpu.local.lab import supply
from ollama_gpu.local.measured import MEASURED
from ollama_gpu.local.usual import (
    ACCOUNT,
    CHAT,
    FABRIC,
    IMAGE_BUILD,
    IMAGE_CHECK,
    INSTANCES,
    MODEL_SET,
    Usual,
)

FORECAST = Forecast(
    (Step("machine image", 200, "build and test it"), Step("chat", 0, "ask a question")),
    later=60,
    source="measured on this machine",
    builds=("machine image",),
)


def test_headline_and_steps_are_announced(tmp_path: Path) -> None:
    said: list[str] = []
    story = Story(FORECAST, Usual(tmp_path), said.append)
    story.begin("machine image")
    story.begin("chat")
    assert said == [
        "ENV=local: 2 steps, about 3 minutes here; later deploys about 1 (measured on this machine)",
        "step 1 of 2: machine image: build and test it, usually 3 min 20 s",
        "step 2 of 2: chat: ask a question",
    ]


def test_durations_of_a_first_deploy_are_kept(tmp_path: Path) -> None:
    now = [0.0]
    usual = Usual(tmp_path)
    story = Story(FORECAST, usual, lambda _: None, lambda: now[0])
    story.begin("machine image", "bake")
    now[0] += 100
    story.begin("chat", "chat")
    now[0] += 7
    story.end()
    assert (usual.seconds("bake"), usual.seconds("chat")) == (100, 7)


def test_durations_of_a_deploy_with_less_to_do_are_not_kept(tmp_path: Path) -> None:
    now = [0.0]
    usual = Usual(tmp_path)
    story = Story(FORECAST, usual, lambda _: None, lambda: now[0])
    story.begin("chat", "a step")
    now[0] += 7
    story.keep_no_durations()
    story.end()
    assert usual.seconds("a step") is None


def test_story_of_another_environment_says_nothing() -> None:
    said: list[str] = []
    story = Story(say=said.append)
    story.begin("chat", "chat")
    story.end()
    assert said == []


def test_shipped_durations_have_names_of_steps() -> None:
    names = {ACCOUNT, IMAGE_CHECK, IMAGE_BUILD, MODEL_SET, FABRIC, INSTANCES, CHAT}
    names |= {supply.GO, supply.OLLAMA, supply.MODELS, supply.TOOLKIT, supply.OPEN_WEBUI}
    names |= {f"image {part}" for part in (*supply.PARTS, "builder", "python")}
    assert set(MEASURED) <= names


def test_forecast_without_any_duration_invents_none() -> None:
    forecast = Forecast((Step("chat", 0, "ask"),), later=0, source="", builds=())
    assert forecast.headline == "1 steps, no duration is known yet"
