"""Who may apply a plan, and what it takes when data would be lost."""

from __future__ import annotations

import io

import pytest

from ollama_gpu import environments
from ollama_gpu.approval import Approval
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.paths import locate
from ollama_gpu.review import PlanReview
from ollama_gpu.terraform.events import ResourceChange


@pytest.fixture
def prod() -> Environment:
    return environments.load(locate(), "prod")


@pytest.fixture(autouse=True)
def nobody_at_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


def plan_that(action: str, kind: str) -> PlanReview:
    change = ResourceChange(address=f"module.data.{kind}.this", resource_type=kind, action=action)
    return PlanReview(changes=(change,), counts={action: 1})


HARMLESS = plan_that("update", "aws_lb")
LOSES_DATA = plan_that("replace", "aws_db_instance")


def test_an_unattended_deploy_may_apply_a_harmless_plan(prod: Environment) -> None:
    Approval(unattended=True).obtain(prod, HARMLESS)


def test_without_a_terminal_and_without_yes_nothing_is_applied(prod: Environment) -> None:
    with pytest.raises(UserError, match="Nobody is there"):
        Approval().obtain(prod, HARMLESS)


def test_yes_does_not_cover_the_loss_of_data(prod: Environment) -> None:
    with pytest.raises(UserError, match="aws_db_instance") as caught:
        Approval(unattended=True).obtain(prod, LOSES_DATA)
    assert "CONFIRM=prod" in caught.value.remedy


def test_another_environments_name_does_not_agree_to_the_loss(prod: Environment) -> None:
    with pytest.raises(UserError):
        Approval(unattended=True, confirmed="staging").obtain(prod, LOSES_DATA)


def test_the_environments_own_name_agrees_to_the_loss(prod: Environment) -> None:
    Approval(unattended=True, confirmed="prod").obtain(prod, LOSES_DATA)


def test_destroying_needs_the_name_even_where_no_store_is_named(prod: Environment) -> None:
    with pytest.raises(UserError):
        Approval(unattended=True).obtain(prod, plan_that("delete", "aws_lb"), destroying=True)


def test_local_is_made_to_be_thrown_away() -> None:
    Approval().obtain(environments.load(locate(), "local"), LOSES_DATA, destroying=True)


@pytest.mark.parametrize(("typed", "allowed"), [("prod\n", True), ("yes\n", False), ("\n", False)])
def test_on_a_terminal_the_name_must_be_typed(
    prod: Environment, monkeypatch: pytest.MonkeyPatch, typed: str, allowed: bool
) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    if allowed:
        Approval().obtain(prod, LOSES_DATA)
    else:
        with pytest.raises(UserError, match="not typed"):
            Approval().obtain(prod, LOSES_DATA)
