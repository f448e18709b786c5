"""The ENV=local under test: a separate one, deployed cold and then again, or the one that runs.

OLLAMA_GPU_SERVING=running uses the ENV=local that runs from this checkout, deploys nothing and leaves it running.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.measure import say
from ollama_gpu.environment.context import open_context
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.usual import IMAGE_BUILD
from tests.fabric.driver import Driver, Run
from tests.serving import conftest, fleet
from tests.serving.conftest import DEPLOY_SECONDS, Serving


@contextmanager
def environment() -> Iterator[tuple[Serving, dict[str, Any]]]:
    """The environment with its fleet whole, and the figures of its deploys."""
    if os.environ.get("OLLAMA_GPU_SERVING") == "running":
        serving = conftest.running()
        _settle(serving)
        yield serving, {"deploy": "not measured: the running ENV=local was used"}
        return
    with tempfile.TemporaryDirectory(prefix="ollama-gpu-bench-") as folder, conftest.isolated(Path(folder)) as driver:
        say("lab: deploy, cold")
        deployed, cold = timed(driver)
        say("lab: deploy, warm")
        _, warm = timed(driver)
        serving = Serving(driver, open_context("local"), deployed.json, Docker())
        _settle(serving)
        yield serving, {"deploy, cold": cold, "deploy, warm (changes nothing)": warm}


def timed(driver: Driver) -> tuple[Run, dict[str, Any]]:
    """Deploy, until a chat is answered at the front door. Raises SystemExit with the error output if it fails."""
    began = time.monotonic()
    deployed = driver.make("deploy", "ENV=local", "JSON=1", seconds=DEPLOY_SECONDS)
    seconds = time.monotonic() - began
    if deployed.status != 0:
        raise SystemExit(deployed.err)
    return deployed, {"seconds": round(seconds, 1), "image": "built" if built(deployed.err) else "existed"}


def built(log: str) -> bool:
    """Whether the deploy with these progress lines built the image."""
    return f"{IMAGE_BUILD}: started" in log


def _settle(serving: Serving) -> None:
    fleet.until(lambda: fleet.whole(serving), "whole fleet", fleet.WHOLE_SECONDS)
