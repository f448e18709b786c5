"""A second plan that is not empty: shown at once, and the error that ends the deploy after its rollout."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_gpu.core.contract import load as load_contract
from ollama_gpu.core.paths import locate
from ollama_gpu.deploy import steps
from ollama_gpu.environment import settings
from ollama_gpu.environment.context import Context
from ollama_gpu.fabric.fabric import SavedPlan
from ollama_gpu.terraform.events import ResourceChange
from ollama_gpu.terraform.review import review_of
from tests.contexts import context_of

CHANGE = ResourceChange("module.edge.aws_lb.this", "aws_lb", "update")


@pytest.fixture
def context() -> Context:
    where = locate()
    return context_of(settings.load(where, "prod"), load_contract(where.contract), None)  # type: ignore[arg-type]


def saved(folder: Path, *changes: ResourceChange) -> SavedPlan:
    path = folder / "second.tfplan"
    path.touch()
    return SavedPlan(path, bool(changes), review_of(changes))


def test_drift_is_named_at_once_and_in_the_error(
    context: Context, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = saved(tmp_path, CHANGE)
    error = steps._drift(context, plan)
    assert error is not None
    assert "module.edge.aws_lb.this" in error.message
    assert error.message.startswith("The release is deployed, but")
    assert "module.edge.aws_lb.this" in capsys.readouterr().err
    assert not plan.path.exists()


def test_empty_plan_is_no_drift(context: Context, tmp_path: Path) -> None:
    assert steps._drift(context, saved(tmp_path)) is None
