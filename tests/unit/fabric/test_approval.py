"""Approval of plans, with and without data at risk."""

from __future__ import annotations

import io

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import settings
from ollama_gpu.environment.settings import Environment
from ollama_gpu.fabric.approval import Approval
from ollama_gpu.terraform.events import ResourceChange
from ollama_gpu.terraform.review import PlanReview


@pytest.fixture
def prod() -> Environment:
    return settings.load(locate(), "prod")


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


def plan_with(action: str, kind: str) -> PlanReview:
    change = ResourceChange(address=f"module.data.{kind}.this", resource_type=kind, action=action)
    return PlanReview(changes=(change,), counts={action: 1})


HARMLESS = plan_with("update", "aws_lb")
LOSES_DATA = plan_with("replace", "aws_db_instance")


def test_unattended_run_may_apply_a_plan_without_data_loss(prod: Environment) -> None:
    Approval(unattended=True).obtain(prod, HARMLESS)


def test_without_terminal_and_yes_the_plan_is_not_approved(prod: Environment) -> None:
    with pytest.raises(UserError, match="there is no terminal"):
        Approval().obtain(prod, HARMLESS)


def test_yes_does_not_approve_data_loss(prod: Environment) -> None:
    with pytest.raises(UserError, match="aws_db_instance") as caught:
        Approval(unattended=True).obtain(prod, LOSES_DATA)
    assert "CONFIRM=prod" in caught.value.remedy


def test_name_of_another_environment_does_not_approve_data_loss(prod: Environment) -> None:
    with pytest.raises(UserError):
        Approval(unattended=True, confirmed="staging").obtain(prod, LOSES_DATA)


def test_name_of_the_environment_approves_data_loss(prod: Environment) -> None:
    Approval(unattended=True, confirmed="prod").obtain(prod, LOSES_DATA)


def test_destroy_without_data_stores_also_requires_the_name(prod: Environment) -> None:
    with pytest.raises(UserError):
        Approval(unattended=True).obtain(prod, plan_with("delete", "aws_lb"), destroying=True)


def test_local_environment_needs_no_approval() -> None:
    Approval().obtain(settings.load(locate(), "local"), LOSES_DATA, destroying=True)


@pytest.mark.parametrize(("typed", "allowed"), [("prod\n", True), ("yes\n", False), ("\n", False)])
def test_on_a_terminal_data_loss_requires_typing_the_name(
    prod: Environment, monkeypatch: pytest.MonkeyPatch, typed: str, allowed: bool
) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    if allowed:
        Approval().obtain(prod, LOSES_DATA)
    else:
        with pytest.raises(UserError, match="was not typed"):
            Approval().obtain(prod, LOSES_DATA)
