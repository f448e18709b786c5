"""Rehearsals: what they break is where they look for it, a deploy takes the broken image, and all of them go back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from ollama_gpu import collection, contract, images, role_variables
from ollama_gpu.aws import Aws
from ollama_gpu.bake import engine, plan
from ollama_gpu.bake.engine import ContainerImage
from ollama_gpu.paths import locate
from tests.soak import __main__ as command
from tests.soak import rehearsals
from tests.soak.rehearsals import Standing

REPOSITORY = locate().repository
CONTRACT = contract.load(locate().contract)
SAME = Standing(3, {"i-1": "1", "i-2": "1"}, "a")


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
def went_back(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rehearsals that went back; going back itself needs the lab."""
    found: list[str] = []
    monkeypatch.setattr(rehearsals, "_back", lambda _, name: found.append(name))
    return found


def test_what_is_broken_is_there() -> None:
    assert (REPOSITORY / "terraform" / "locals.tf").read_text().count(rehearsals.GPU_DEMANDED[0]) == 1
    variables = role_variables.load(collection.role(REPOSITORY, "ollama") / "vars" / "main.yml")
    assert f"{variables['_ollama_releases']}/current/bin/ollama" == rehearsals.OLLAMA


def test_the_words_that_are_waited_for_are_the_roles() -> None:
    tasks = collection.role(REPOSITORY, "ollama") / "tasks"
    assert "NVIDIA GPUs" in (tasks / "instances.yml").read_text()
    assert "Ollama do not serve" in (tasks / "verify.yml").read_text()


def test_a_deploy_takes_a_broken_image_of_the_same_content_and_then_the_good_one_again(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    context: Any = SimpleNamespace(contract=CONTRACT, aws=aws, environment=SimpleNamespace(name="local"))
    engines = [ContainerImage("1", f"ollama-gpu/host:{name}", "k", "", "") for name in ("k-rehearsal", "k")]
    monkeypatch.setattr(engine, "baked", lambda: engines)
    labels = images.tags(CONTRACT, "local", "r", "k")
    good = images.register_container(CONTRACT, aws, "ollama-gpu-host-k", "ollama-gpu/host:k", labels)
    bad = images.register_container(CONTRACT, aws, "ollama-gpu-host-k-rehearsal", "ollama-gpu/host:k-rehearsal", labels)
    images.publish("local", CONTRACT, aws, bad)
    assert plan.existing(context, "container", "k") == plan.Existing("nothing", bad, "ollama-gpu/host:k-rehearsal")
    images.publish("local", CONTRACT, aws, good)
    images.deregister(aws, next(image for image in images.baked(CONTRACT, aws) if image.identifier == bad))
    assert plan.existing(context, "container", "k") == plan.Existing("nothing", good, "ollama-gpu/host:k")


@pytest.mark.parametrize("after", [{"i-1": "1"}, {"i-1": "1", "i-3": "1"}, {"i-1": "1", "i-2": "2"}])
def test_other_instances_than_before_are_seen(after: dict[str, str]) -> None:
    rehearsals._require_same(SAME, SAME, replaced=False)
    with pytest.raises(AssertionError, match="i-1"):
        rehearsals._require_same(SAME, Standing(3, after, "a"), replaced=False)


def test_who_was_replaced_has_a_successor_of_the_same_version() -> None:
    rehearsals._require_same(SAME, Standing(3, {"i-1": "1", "i-3": "1"}, "b"), replaced=True)
    for versions in ({"i-1": "1"}, {"i-1": "1", "i-3": "2"}, {"i-1": "1", "i-2": "1", "i-3": "1"}):
        with pytest.raises(AssertionError, match="i-1"):
            rehearsals._require_same(SAME, Standing(3, versions, "b"), replaced=True)


def test_it_goes_back_when_all_went_well(scene: Any, went_back: list[str]) -> None:
    with rehearsals._back_afterwards(scene, "alarm"):
        assert scene.elsewhere
    assert went_back == ["alarm"]


def test_it_goes_back_once_and_tells_the_trouble_when_something_went_wrong(scene: Any, went_back: list[str]) -> None:
    with pytest.raises(AssertionError, match=r"^it served$"), rehearsals._back_afterwards(scene, "alarm"):
        raise AssertionError("it served")
    assert went_back == ["alarm"]


def test_trouble_on_the_way_back_does_not_hide_the_first(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise AssertionError("the rollback failed")

    monkeypatch.setattr(rehearsals, "_back", fails)
    wanted = r"it served\nand going back from there: the rollback failed"
    with pytest.raises(AssertionError, match=wanted), rehearsals._back_afterwards(scene, "alarm"):
        raise AssertionError("it served")


def test_who_interrupts_is_told_how_to_go_back_and_does_not_wait_for_it(scene: Any, went_back: list[str]) -> None:
    with pytest.raises(KeyboardInterrupt), rehearsals._back_afterwards(scene, "alarm"):
        raise KeyboardInterrupt
    assert (went_back, scene.elsewhere) == ([], True)


def test_what_the_driver_says_of_a_rollout_that_went_back_is_what_is_waited_for() -> None:
    assert rehearsals.TAKEN_BACK in Path(REPOSITORY / "scripts" / "ollama_gpu" / "rollout" / "steps.py").read_text()


@pytest.mark.parametrize("environment", ["prod", "dev"])
def test_where_people_work_nothing_is_rehearsed(environment: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--env", environment, "--rehearse"]) == 2
    assert f"ENV={environment} is no place for this" in capsys.readouterr().err
