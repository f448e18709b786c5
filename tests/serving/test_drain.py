"""Termination of an instance under constant chats: no stream is cut and no request fails."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ollama_gpu.local.lab.instances import events
from tests.serving.conftest import Serving
from tests.serving.fleet import ROTATION_SECONDS, WHOLE_SECONDS, drain, healthz, resize, suspended, until, whole
from tests.serving.report import Report
from tests.serving.traffic import traffic

LONG = 40
"""Tokens of an answer that takes several seconds here, so that streams run when the notice arrives."""

HOOK_SECONDS = 140
"""Time after which the group stops waiting for the instance: the contract's drain_seconds plus 30."""


@pytest.fixture
def three_instances(serving: Serving) -> None:
    """One more instance than the fleet needs; `steady` then waits for it."""
    resize(serving, 3)


@pytest.mark.fault
def test_a_scale_in_fails_no_chat(
    serving: Serving, token: str, three_instances: None, steady: None, report: Report
) -> None:
    before = set(serving.instances())
    with traffic(serving.chat_address, token, users=4, tokens=LONG, spread=3) as users:
        until(lambda: all(drain(serving, each)["in_flight"] > 0 for each in before), "a stream on each of them", 60)
        began = time.monotonic()
        resize(serving, 2)
        until(lambda: set(serving.instances()) < before, "choice of the one to go", 30)
        (chosen,) = before - set(serving.instances())
        gone = until(lambda: not serving.docker.running(serving.container(chosen)), "its end", HOOK_SECONDS - 10)
        figures = users.settle(began, gone + 60)
    report("scale-in", figures, gone=gone)
    assert not figures.failed


@pytest.mark.fault
def test_a_spot_notice_fails_no_chat(serving: Serving, token: str, instance: str, report: Report) -> None:
    metadata = f"{serving.container(instance)}-metadata"
    with suspended(serving, "HealthCheck"), traffic(serving.chat_address, token, tokens=LONG) as users:
        until(lambda: drain(serving, instance)["in_flight"] > 0, f"a stream on {instance}", 30)
        began = time.monotonic()
        events.spot_notice(serving.docker, metadata)
        try:
            heard = until(lambda: bool(drain(serving, instance)["draining"]), "the start of the drain", 10)
            assert "spot" in drain(serving, instance)["cause"]
            until(lambda: healthz(serving, instance) == "503", "refusal of the health check", 10)
            until(lambda: instance not in serving.healthy(), "its removal from the rotation", 90)
            until(lambda: drain(serving, instance)["in_flight"] == 0, "the end of its streams", 60)
            empty = time.monotonic() - began
            assert empty < events.SPOT_NOTICE.total_seconds()
        finally:
            events.withdraw(serving.docker, metadata)
        until(lambda: instance in serving.healthy(), "its return when it stays", ROTATION_SECONDS)
        figures = users.settle(began, 300)
    report("spot notice", figures, heard=heard, empty=empty)
    assert not figures.failed


@pytest.mark.fault
def test_an_instance_refresh_fails_no_chat(serving: Serving, token: str, steady: None, report: Report) -> None:
    """Both instances are replaced; the new ones start first."""
    scaling = serving.context.aws.autoscaling
    before = set(serving.instances())

    def refresh() -> dict[str, Any]:
        found = scaling.describe_instance_refreshes(AutoScalingGroupName=serving.group)["InstanceRefreshes"]
        return dict(found[0])

    with traffic(serving.chat_address, token, tokens=LONG) as users:
        began = time.monotonic()
        scaling.start_instance_refresh(
            AutoScalingGroupName=serving.group,
            # Both at once, and without the warm-up, which matters only for load-based scaling.
            Preferences={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200, "InstanceWarmup": 0},
        )
        until(lambda: refresh()["Status"] not in ("Pending", "InProgress"), "end of the refresh", WHOLE_SECONDS)
        assert refresh()["Status"] == "Successful", refresh()
        done = time.monotonic() - began
        until(lambda: whole(serving), "whole fleet", ROTATION_SECONDS)
        figures = users.settle(began, done + ROTATION_SECONDS)
    report("instance refresh", figures, done=done)
    assert not figures.failed
    assert not before & set(serving.instances())


def test_a_terminated_instance_completes_its_streams_and_logs_it(
    serving: Serving, token: str, instance: str, report: Report
) -> None:
    scaling = serving.context.aws.autoscaling
    with traffic(serving.chat_address, token, tokens=LONG) as users, drain_log(serving, instance) as read_log:
        until(lambda: drain(serving, instance)["in_flight"] > 0, f"a stream on {instance}", 30)
        began = time.monotonic()
        scaling.terminate_instance_in_auto_scaling_group(InstanceId=instance, ShouldDecrementDesiredCapacity=False)
        gone = until(lambda: not serving.docker.running(serving.container(instance)), "its end", HOOK_SECONDS - 10)
        figures = users.settle(began, gone + 60)
        log = read_log()
    report("termination", figures, gone=gone)
    assert not figures.failed
    assert "step=drain result=ok" in log
    assert re.search("step=terminate-hook result=ok .*completed with CONTINUE", log), log


@contextmanager
def drain_log(serving: Serving, instance: str) -> Iterator[Callable[[], str]]:
    """The log of the drain's unit until the instance ends; afterwards it is not available."""
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
