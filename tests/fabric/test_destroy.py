"""Destruction of the fabric that `test_deploy` and `test_deploy_releases` used."""

from __future__ import annotations

from typing import Any

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import settings
from ollama_gpu.fabric import leftovers
from tests.contexts import context_of
from tests.fabric.driver import Driver

AGREED = contract.load(locate().contract)


def test_destroy_leaves_nothing_and_stops_the_embedded_aws(
    driver: Driver, aws: Any, endpoint: str, deployed: dict[str, Any]
) -> None:
    before = leftovers.find(context_of(settings.load(locate(), "local"), AGREED, Aws("us-east-1", endpoint)))
    assert len(before) > 100, "the walk finds too few resources to prove anything"
    assert f"budget {AGREED.project}-local-monthly" in before
    done = driver.make("destroy", "ENV=local", "JSON=1")
    assert done.status == 0, done.err
    assert done.json == {"left": []}
    assert driver.run("status", "--env", "local").refused("not running", "make deploy ENV=local")
