"""ENV=local as users have it: deployed by the command, with everything behind it, and destroyed at the end.

OLLAMA_GPU_SERVING=running takes the ENV=local that runs from this checkout instead, and leaves it running.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu import secret_values
from ollama_gpu.chat import Door
from ollama_gpu.context import Context, open_context
from ollama_gpu.lab import names
from ollama_gpu.lab.docker import Docker
from ollama_gpu.lab.front_door.ports import HTTP_VARIABLE, HTTPS_VARIABLE
from ollama_gpu.lab.plane import Plane
from tests.fabric.driver import Driver
from tests.serving import fleet
from tests.serving.report import Report
from tests.serving.traffic import Session, sign_in

DEPLOY_SECONDS = 1500


@dataclass(frozen=True)
class Serving:
    """The environment under test."""

    driver: Driver
    context: Context
    outputs: dict[str, Any]
    docker: Docker

    @property
    def door(self) -> Door:
        return Plane(self.context).door

    @property
    def administrator(self) -> dict[str, str]:
        return secret_values.administrator(self.context.environment, self.context.contract, self.context.aws)

    @property
    def group(self) -> str:
        """The Auto Scaling group of the fleet that people use."""
        name: str = self.outputs["fleets"]["interactive"]["group_name"]
        return name

    def fleet(self) -> dict[str, Any]:
        """What Auto Scaling says of the group."""
        found = self.context.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        return dict(found["AutoScalingGroups"][0])

    def instances(self) -> list[str]:
        """The instances in service, by id."""
        members = self.fleet()["Instances"]
        return sorted(each["InstanceId"] for each in members if each["LifecycleState"] == "InService")

    def healthy(self) -> list[str]:
        """The instances that the load balancer sends users to, by id."""
        arn = self.outputs["target_group_arns"]["interactive"]
        found = self.context.aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return sorted(each["Target"]["Id"] for each in found if each["TargetHealth"]["State"] == "healthy")

    def container(self, instance: str) -> str:
        """The name of an instance's container."""
        return f"{names.prefix(self.context)}-{instance}"

    @property
    def stores(self) -> str:
        """The name of the container of database and cache."""
        return f"{names.prefix(self.context)}-data"

    @property
    def network(self) -> str:
        """The name of the network that instances and stores are on."""
        return names.network(names.prefix(self.context))

    def run(self, instance: str, *command: str) -> str:
        """What a command prints inside an instance. Raises UserError when it fails."""
        return self.docker.output("exec", self.container(instance), *command)

    def said(self, instance: str, *command: str) -> str:
        """The same of a command that may fail."""
        return self.run(instance, "sh", "-c", '"$@" || true', "sh", *command)


def running() -> Serving:
    """The ENV=local that runs from this checkout."""
    context = open_context("local")
    driver = Driver(context.paths.work)
    return Serving(driver, context, _outputs(driver), Docker())


@contextmanager
def isolated(work: Path) -> Iterator[Driver]:
    """A driver for an ENV=local in a folder and at ports of its own, which this process takes for its own meanwhile.

    What was deployed is destroyed at the end; AssertionError when that fails.
    """
    ports = {HTTPS_VARIABLE: str(free_port()), HTTP_VARIABLE: str(free_port())}
    driver = Driver(work, ports)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OLLAMA_GPU_WORK", str(work))
        for name, value in ports.items():
            patch.setenv(name, value)
        try:
            yield driver
        finally:
            destroyed = driver.make("destroy", "ENV=local", seconds=900)
            if destroyed.status != 0:
                driver.run("local-down", seconds=300)
        assert destroyed.status == 0, destroyed.err


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    if os.environ.get("OLLAMA_GPU_SERVING") == "running":
        yield running()
        return
    with isolated(tmp_path_factory.mktemp("serving")) as driver:
        deployed = driver.make("deploy", "ENV=local", "JSON=1", seconds=DEPLOY_SECONDS)
        assert deployed.status == 0, deployed.err
        print(deployed.err)
        yield Serving(driver, open_context("local"), deployed.json, Docker())


@pytest.fixture(scope="session")
def token(serving: Serving) -> str:
    """The administrator's."""
    return sign_in(serving.door, serving.administrator)


@pytest.fixture(scope="session")
def saved(serving: Serving, token: str) -> Iterator[tuple[str, str]]:
    """A chat that was saved before anything broke: its id and its title."""
    title = f"saved {time.time()}"
    question = {"chat": {"title": title, "models": [], "messages": []}}
    status, answer = Session(serving.door, token).ask("POST", "/api/v1/chats/new", question)
    assert status == 200, answer
    yield answer["id"], title
    Session(serving.door, token).ask("DELETE", f"/api/v1/chats/{answer['id']}")


@pytest.fixture
def steady(serving: Serving, token: str, saved: tuple[str, str]) -> Iterator[None]:
    """A fleet of healthy instances that does not grow because of a test's users; afterwards nothing saved is lost."""
    with fleet.suspended(serving, "AlarmNotification"):
        fleet.until(lambda: fleet.whole(serving), "whole fleet", fleet.WHOLE_SECONDS)
        yield
    status, answer = Session(serving.door, token).ask("GET", f"/api/v1/chats/{saved[0]}")
    assert status == 200, answer
    assert answer["chat"]["title"] == saved[1]


@pytest.fixture
def instance(serving: Serving, steady: None) -> str:
    """The instance that it happens to."""
    return serving.healthy()[0]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    return Report(capsys)


def _outputs(driver: Driver) -> dict[str, Any]:
    asked = driver.run("outputs", "--env", "local", "--json")
    assert asked.status == 0, asked.err
    found: dict[str, Any] = asked.json
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
