"""The end of the fabric that `test_deploy` and `test_deploy_releases` worked with."""

from __future__ import annotations

from typing import Any

from ollama_gpu import contract, leftovers
from ollama_gpu.aws import Aws
from ollama_gpu.paths import locate
from tests.fabric.driver import Driver

AGREED = contract.load(locate().contract)


def test_destroy_leaves_nothing_and_stops_the_embedded_aws(
    driver: Driver, aws: Any, endpoint: str, deployed: dict[str, Any]
) -> None:
    before = leftovers.find("local", AGREED, Aws("us-east-1", endpoint))
    assert len(before) > 100, "the walk sees too little to prove anything"
    assert f"budget {AGREED.project}-local-monthly" in before
    done = driver.make("destroy", "ENV=local", "JSON=1")
    assert done.status == 0, done.err
    assert done.json == {"left": []}
    assert driver.run("status", "--env", "local").refused("not running", "make deploy ENV=local")
