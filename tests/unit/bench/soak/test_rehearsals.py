"""Rehearsals: they break code that exists, a deploy uses the broken image, and every rehearsal rolls back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from bench.soak import __main__ as command
from bench.soak import rehearsals
from bench.soak.rehearsals import FleetState
from ollama_gpu.bake import engine, plan
from ollama_gpu.bake.engine import ContainerImage
from ollama_gpu.core import collection, contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import images, role_variables, settings
from tests.contexts import context_of

REPOSITORY = locate().repository
CONTRACT = contract.load(locate().contract)
SAME = FleetState(3, {"i-1": "1", "i-2": "1"}, "a")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with mock_aws():
        yield Aws("us-east-1")


@pytest.fixture
def scene() -> Any:
    return SimpleNamespace(elsewhere=False)


@pytest.fixture
def rolled_back(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the rehearsals that rolled back. The rollback itself needs the lab."""
    found: list[str] = []
    monkeypatch.setattr(rehearsals, "_roll_back", lambda _, name: found.append(name))
    return found


def test_the_broken_places_exist() -> None:
    assert (REPOSITORY / "terraform" / "locals.tf").read_text().count(rehearsals.GPU_DEMANDED[0]) == 1
    variables = role_variables.load(collection.role(REPOSITORY, "ollama") / "vars" / "main.yml")
    assert f"{variables['_ollama_releases']}/current/bin/ollama" == rehearsals.OLLAMA


def test_the_expected_messages_exist_in_the_roles() -> None:
    tasks = collection.role(REPOSITORY, "ollama") / "tasks"
    assert "NVIDIA GPUs" in (tasks / "instances.yml").read_text()
    assert "Ollama do not serve" in (tasks / "verify.yml").read_text()


def test_a_deploy_uses_the_broken_image_and_then_the_good_one_again(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(settings.load(locate(), "local"), CONTRACT, aws)
    engines = [ContainerImage("1", f"ollama-gpu/host:{name}", "k", "", "") for name in ("k-rehearsal", "k")]
    monkeypatch.setattr(engine, "baked", lambda: engines)
    labels = images.tags(CONTRACT, "local", "r", "k")
    good = images.register_container(context, "ollama-gpu-host-k", "ollama-gpu/host:k", labels)
    bad = images.register_container(context, "ollama-gpu-host-k-rehearsal", "ollama-gpu/host:k-rehearsal", labels)
    images.publish(context, bad)
    assert plan.existing(context, "container", "k") == plan.Existing("nothing", bad, "ollama-gpu/host:k-rehearsal")
    images.publish(context, good)
    images.deregister(aws, next(image for image in images.baked(context) if image.identifier == bad))
    assert plan.existing(context, "container", "k") == plan.Existing("nothing", good, "ollama-gpu/host:k")


@pytest.mark.parametrize("after", [{"i-1": "1"}, {"i-1": "1", "i-3": "1"}, {"i-1": "1", "i-2": "2"}])
def test_changed_instances_are_detected(after: dict[str, str]) -> None:
    rehearsals._require_same(SAME, SAME, replaced=False)
    with pytest.raises(AssertionError, match="i-1"):
        rehearsals._require_same(SAME, FleetState(3, after, "a"), replaced=False)


def test_replaced_instances_must_have_the_same_version() -> None:
    rehearsals._require_same(SAME, FleetState(3, {"i-1": "1", "i-3": "1"}, "b"), replaced=True)
    for versions in ({"i-1": "1"}, {"i-1": "1", "i-3": "2"}, {"i-1": "1", "i-2": "1", "i-3": "1"}):
        with pytest.raises(AssertionError, match="i-1"):
            rehearsals._require_same(SAME, FleetState(3, versions, "b"), replaced=True)


def test_a_successful_rehearsal_rolls_back(scene: Any, rolled_back: list[str]) -> None:
    with rehearsals._rolled_back_afterwards(scene, "alarm"):
        assert scene.elsewhere
    assert rolled_back == ["alarm"]


def test_a_failed_rehearsal_rolls_back_once_and_reports_the_failure(scene: Any, rolled_back: list[str]) -> None:
    with pytest.raises(AssertionError, match=r"^it served$"), rehearsals._rolled_back_afterwards(scene, "alarm"):
        raise AssertionError("it served")
    assert rolled_back == ["alarm"]


def test_a_failed_rollback_does_not_hide_the_first_failure(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("the rollback failed")

    monkeypatch.setattr(rehearsals, "_roll_back", fails)
    wanted = r"it served\nand the rollback failed: the rollback failed"
    with pytest.raises(AssertionError, match=wanted), rehearsals._rolled_back_afterwards(scene, "alarm"):
        raise AssertionError("it served")


def test_an_interrupted_rehearsal_does_not_roll_back(scene: Any, rolled_back: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), rehearsals._rolled_back_afterwards(scene, "alarm"):
        raise KeyboardInterrupt
    assert (rolled_back, scene.elsewhere) == ([], True)


def test_the_expected_rollback_message_exists_in_the_driver() -> None:
    assert rehearsals.TAKEN_BACK in Path(REPOSITORY / "scripts" / "ollama_gpu" / "rollout" / "steps.py").read_text()


@pytest.mark.parametrize("environment", ["prod", "dev"])
def test_only_local_is_rehearsed(environment: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", environment, "--rehearse"]) == 2
    assert f"Do not run this at ENV={environment}" in capsys.readouterr().err
