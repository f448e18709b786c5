"""What a fault's test does to the fleet and asks of it, besides chatting."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ollama_gpu.aws import parameter

if TYPE_CHECKING:
    from tests.serving.conftest import Serving

WHOLE_SECONDS = 480
"""Two instances that boot side by side on this machine's two processors while people chat, and the checks after it."""

ROTATION_SECONDS = 120
"""Until the load balancer has found an instance bad or good by its checks: three, and what a busy machine adds."""


@contextmanager
def suspended(serving: Serving, process: str) -> Iterator[None]:
    """One of the group's processes rests."""
    scaling = serving.context.aws.autoscaling
    scaling.suspend_processes(AutoScalingGroupName=serving.group, ScalingProcesses=[process])
    try:
        yield
    finally:
        scaling.resume_processes(AutoScalingGroupName=serving.group, ScalingProcesses=[process])


def resize(serving: Serving, desired: int) -> None:
    """Ask for another number of instances, as scaling does."""
    serving.context.aws.autoscaling.set_desired_capacity(AutoScalingGroupName=serving.group, DesiredCapacity=desired)


def whole(serving: Serving) -> bool:
    """Whether as many instances as are wanted are in service, all of them healthy; others may be on their way out."""
    group = serving.fleet()
    serve = sorted(each["InstanceId"] for each in group["Instances"] if each["LifecycleState"] == "InService")
    return len(serve) == group["DesiredCapacity"] and serving.healthy() == serve


def until(condition: Callable[[], bool], what: str, seconds: float) -> float:
    """Wait for a condition and return how many seconds it took; AssertionError with ``what`` after ``seconds``."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, f"no {what} after {seconds:.0f} s"
        time.sleep(0.5)
    return time.monotonic() - began


def query(serving: Serving, asked: str, **variables: str) -> str:
    """What Open WebUI's database answers to SQL, a line a row; ``:'name'`` in it stands for a variable."""
    told = parameter(serving.context.aws, serving.context.contract.parameter("fabric", "local"))
    database = json.loads(told or "")["database"]["name"]
    psql = ("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", f"--dbname={database}", "--file=-")
    given = [f"--set={name}={value}" for name, value in variables.items()]
    return serving.docker.output("exec", "--interactive", "--user=postgres", serving.stores, *psql, *given, text=asked)


def unit(serving: Serving, instance: str, name: str, fact: str) -> str:
    """What systemd says of a unit of an instance."""
    return serving.run(instance, "systemctl", "show", name, f"--property={fact}", "--value")


def answered(serving: Serving, instance: str, url: str) -> str:
    """The status with which an address answers inside an instance; 000 when it does not answer."""
    return serving.said(instance, "curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "4", url)


def healthz(serving: Serving, instance: str) -> str:
    """The status with which an instance answers the load balancer; 000 when it does not answer."""
    return answered(serving, instance, "https://127.0.0.1:8443/healthz")


def open_webui_is_ready(serving: Serving, instance: str, port: int = 8081) -> bool:
    """Whether Open WebUI's process at that port has its stores."""
    return answered(serving, instance, f"http://127.0.0.1:{port}/ready") == "200"


def serves_again(serving: Serving, instance: str, name: str, before: str) -> bool:
    """Whether a unit runs by another process than ``before``, and its instance is healthy with it."""
    state, process = unit(serving, instance, name, "ActiveState"), unit(serving, instance, name, "MainPID")
    return state == "active" and process not in (before, "0") and healthz(serving, instance) == "200"


def causes(serving: Serving, instance: str) -> list[str]:
    """Why an instance says that it is not ready."""
    details: dict[str, Any] = json.loads(serving.run(instance, "curl", "-s", "http://127.0.0.1:8406/details"))
    found: list[str] = details["causes"]
    return found


def drain(serving: Serving, instance: str) -> dict[str, Any]:
    """What an instance says of its own drain."""
    told: dict[str, Any] = json.loads(serving.run(instance, "ollama-gpu-drain", "status", "--json"))
    return told
