"""The step of the boot that a task belongs to."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.collection import plugins

STEP_OF = plugins.load("callback.boot_log").step_of


def test_task_with_stage_tag_belongs_to_the_stage() -> None:
    assert STEP_OF("ollama.gpu.open_webui", ["open_webui_service", "service"]) == "open_webui_service"


@pytest.mark.parametrize("tags", list(itertools.permutations(["open_webui_service", "service", "open_webui_schema"])))
def test_part_of_a_stage_is_a_separate_step_in_any_order_of_tags(tags: tuple[str, ...]) -> None:
    assert STEP_OF("ollama.gpu.open_webui", list(tags)) == "open_webui_schema"


@pytest.mark.parametrize(("role", "tags"), [("ollama.gpu.common", ["always"]), ("", ["open_webui_service"])])
def test_task_without_stage_tag_belongs_to_no_step(role: str, tags: list[str]) -> None:
    assert STEP_OF(role, tags) is None
