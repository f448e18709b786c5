"""Actions on the fleet and queries of its state, for tests of faults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ollama_gpu.core.aws import parameter

if TYPE_CHECKING:
    from tests.serving.conftest import Serving

WHOLE_SECONDS = 480
"""Enough for two instances that boot side by side on this machine's two processors under load, and their checks."""

ROTATION_SECONDS = 120
"""Enough for the load balancer's three checks of an instance, on a busy machine."""


@contextmanager
def suspended(serving: Serving, process: str) -> Iterator[None]:
    """Suspend one of the group's processes."""
    scaling = serving.context.aws.autoscaling
    scaling.suspend_processes(AutoScalingGroupName=serving.group, ScalingProcesses=[process])
    try:
        yield
    finally:
        scaling.resume_processes(AutoScalingGroupName=serving.group, ScalingProcesses=[process])


def resize(serving: Serving, desired: int) -> None:
    """Set the desired number of instances, as scaling does."""
    serving.context.aws.autoscaling.set_desired_capacity(AutoScalingGroupName=serving.group, DesiredCapacity=desired)


def whole(serving: Serving) -> bool:
    """Whether the desired number of instances is in service and all are healthy; others may be terminating."""
    group = serving.fleet()
    serve = sorted(each["InstanceId"] for each in group["Instances"] if each["LifecycleState"] == "InService")
    return len(serve) == group["DesiredCapacity"] and serving.healthy() == serve


def until(condition: Callable[[], bool], what: str, seconds: float) -> float:
    """Wait for a condition and return the seconds it took; AssertionError with ``what`` after ``seconds``."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"no {what} after {seconds:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - began


def query(serving: Serving, sql: str, **variables: str) -> str:
    """Run SQL on Open WebUI's database and return one line per row; ``:'name'`` in it is replaced by a variable."""
    answer = parameter(serving.context.aws, serving.context.contract.parameter("fabric", "local"))
    database = json.loads(answer or "")["database"]["name"]
    psql = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", f"--dbname={database}", "--file=-")
    given = [f"--set={name}={value}" for name, value in variables.items()]
    return serving.docker.output("exec", "--interactive", "--user=postgres", serving.stores, *psql, *given, text=sql)


def unit(serving: Serving, instance: str, name: str, fact: str) -> str:
    """A property of an instance's systemd unit."""
    return serving.run(instance, "systemctl", "show", name, f"--property={fact}", "--value")


def answered(serving: Serving, instance: str, url: str) -> str:
    """The status of an HTTP response inside an instance; 000 if there is none."""
    return serving.try_run(instance, "curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "4", url)


def healthz(serving: Serving, instance: str) -> str:
    """The status of an instance's health check for the load balancer; 000 if there is no response."""
    return answered(serving, instance, "https://127.0.0.1:8443/healthz")


def open_webui_is_ready(serving: Serving, instance: str, port: int = 8081) -> bool:
    """Whether the Open WebUI process at that port has its stores."""
    return answered(serving, instance, f"http://127.0.0.1:{port}/ready") == "200"


def serves_again(serving: Serving, instance: str, name: str, before: str) -> bool:
    """Whether a unit runs with another process than ``before``, and its instance is healthy."""
    state, process = unit(serving, instance, name, "ActiveState"), unit(serving, instance, name, "MainPID")
    return state == "active" and process not in (before, "0") and healthz(serving, instance) == "200"


def causes(serving: Serving, instance: str) -> list[str]:
    """The reasons that an instance gives for not being ready."""
    details: dict[str, Any] = json.loads(serving.run(instance, "curl", "-s", "http://127.0.0.1:8406/details"))
    found: list[str] = details["causes"]
    return found


def drain(serving: Serving, instance: str) -> dict[str, Any]:
    """The status of an instance's drain."""
    answer: dict[str, Any] = json.loads(serving.run(instance, "ollama-gpu-drain", "status", "--json"))
    return answer
