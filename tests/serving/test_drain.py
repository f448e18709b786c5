"""An instance that is told to go, under constant chats: no stream is cut and no request fails."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ollama_gpu.lab.instances import events
from tests.serving.conftest import Serving
from tests.serving.test_faults import WHOLE_SECONDS, healthz, suspended, until, whole
from tests.serving.traffic import sign_in, traffic

LONG = 40
"""Tokens of an answer that takes several seconds here: streams run when the word comes."""

HOOK_SECONDS = 140
"""When the group stops waiting for the instance: the contract's drain_seconds and 30 more."""


@pytest.fixture(scope="module")
def token(serving: Serving) -> str:
    return sign_in(serving.door, serving.administrator)


@pytest.fixture(autouse=True)
def _whole(serving: Serving) -> Iterator[None]:
    with suspended(serving, "AlarmNotification"):
        until(lambda: whole(serving), "two healthy instances", WHOLE_SECONDS)
        yield
        until(lambda: whole(serving), "two healthy instances", WHOLE_SECONDS)


@pytest.fixture
def instance(serving: Serving) -> str:
    return serving.healthy()[0]


def drain(serving: Serving, instance: str) -> dict[str, Any]:
    """What the instance says of its own drain."""
    told: dict[str, Any] = json.loads(serving.run(instance, "ollama-gpu-drain", "status", "--json"))
    return told


def test_a_spot_notice_costs_nobody_an_answer(
    serving: Serving, token: str, instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper = f"{serving.container(instance)}-metadata"
    with suspended(serving, "HealthCheck"), traffic(serving.door, token, tokens=LONG) as users:
        until(lambda: drain(serving, instance)["in_flight"] > 0, f"a stream on {instance}", 30)
        began = time.monotonic()
        events.spot_notice(serving.docker, keeper)
        try:
            until(lambda: bool(drain(serving, instance)["draining"]), "the start of the drain", 10)
            heard = time.monotonic() - began
            assert "spot" in drain(serving, instance)["cause"]
            until(lambda: healthz(serving, instance) == "503", "refusal of the health check", 10)
            until(lambda: instance not in serving.healthy(), "its end in the rotation", 90)
            until(lambda: drain(serving, instance)["in_flight"] == 0, "the end of its streams", 60)
            empty = time.monotonic() - began
            assert empty < events.SPOT_NOTICE.total_seconds()
        finally:
            events.withdraw(serving.docker, keeper)
        until(lambda: instance in serving.healthy(), "its return when it stays", 90)
        figures = users.settle(began, 300)
    with capsys.disabled():
        print(f"\nspot notice: heard after {heard:.1f} s, empty after {empty:.1f} s; {figures}")
    assert not figures.failed


def test_a_terminated_instance_ends_its_streams_and_says_so(
    serving: Serving, token: str, instance: str, capsys: pytest.CaptureFixture[str]
) -> None:
    scaling = serving.context.aws.autoscaling
    with traffic(serving.door, token, tokens=LONG) as users, last_words(serving, instance) as told:
        until(lambda: drain(serving, instance)["in_flight"] > 0, f"a stream on {instance}", 30)
        began = time.monotonic()
        scaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=False)
        until(lambda: not serving.docker.running(serving.container(instance)), "its end", HOOK_SECONDS - 10)
        gone = time.monotonic() - began
        figures = users.settle(began, 240)
        words = told()
    with capsys.disabled():
        print(f"\ntermination: gone after {gone:.1f} s; {figures}")
    assert not figures.failed
    assert "step=drain result=ok" in words
    assert re.search("step=terminate-hook result=ok .*completed with CONTINUE", words), words


@contextmanager
def last_words(serving: Serving, instance: str) -> Iterator[Callable[[], str]]:
    """What the drain's unit says until the instance ends: after that nobody can ask it."""
    listening = subprocess.Popen(
        ["docker", "exec", serving.container(instance), "journalctl", "--follow", "--lines=0", "--output=cat",
         "--unit=ollama-gpu-drain"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield lambda: listening.communicate(timeout=30)[0]
    finally:
        listening.kill()
        listening.wait()
