"""ENV=local as users have it: deployed by the command, with everything behind it, and destroyed at the end.

OLLAMA_GPU_SERVING=running uses the ENV=local that runs from this checkout instead, and leaves it running.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core.chat import ChatAddress
from ollama_gpu.environment import secrets
from ollama_gpu.environment.context import Context, open_context
from ollama_gpu.local.lab import names
from ollama_gpu.local.lab.docker import Docker
from ollama_gpu.local.lab.front_door.ports import HTTP_VARIABLE, HTTPS_VARIABLE
from ollama_gpu.local.lab.lab import Lab
from tests.fabric.driver import Driver
from tests.serving import fleet
from tests.serving.report import Report
from tests.serving.traffic import Session, sign_in

DEPLOY_SECONDS = 1500


@dataclass(frozen=True)
class Serving:
    """The environment under test. ``log`` has the lines of its deploy; empty if it ran before the tests."""

    driver: Driver
    context: Context
    outputs: dict[str, Any]
    docker: Docker
    log: str = ""
    deployed_at: datetime | None = None

    @property
    def chat_address(self) -> ChatAddress:
        return Lab(self.context).chat_address

    @property
    def administrator(self) -> dict[str, str]:
        return secrets.administrator(self.context)

    @property
    def group(self) -> str:
        """The Auto Scaling group of the interactive fleet."""
        name: str = self.outputs["fleets"]["interactive"]["group_name"]
        return name

    def fleet(self) -> dict[str, Any]:
        """The description of the Auto Scaling group."""
        found = self.context.aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self.group])
        return dict(found["AutoScalingGroups"][0])

    def instances(self) -> list[str]:
        """The ids of the instances in service."""
        members = self.fleet()["Instances"]
        return sorted(each["InstanceId"] for each in members if each["LifecycleState"] == "InService")

    def healthy(self) -> list[str]:
        """The ids of the instances to which the load balancer sends users."""
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
        """The name of the network of instances and stores."""
        return names.network(names.prefix(self.context))

    def run(self, instance: str, *command: str) -> str:
        """Return the output of a command inside an instance. Raises UserError if it fails."""
        return self.docker.output("exec", self.container(instance), *command)

    def try_run(self, instance: str, *command: str) -> str:
        """Return the output of a command that may fail."""
        return self.run(instance, "sh", "-c", '"$@" || true', "sh", *command)


def running() -> Serving:
    """The ENV=local that runs from this checkout."""
    context = open_context("local")
    driver = Driver(context.paths.work)
    return Serving(driver, context, _outputs(driver), Docker())


@contextmanager
def isolated(work: Path) -> Iterator[Driver]:
    """A driver for an ENV=local with a separate folder and ports, which this process uses too until the end.

    Destroys the deployment at the end; raises AssertionError if that fails.
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
        yield Serving(driver, open_context("local"), deployed.json, Docker(), deployed.err, datetime.now(UTC))


@pytest.fixture(scope="session")
def token(serving: Serving) -> str:
    """The administrator's token."""
    return sign_in(serving.chat_address, serving.administrator)


@pytest.fixture(scope="session")
def saved(serving: Serving, token: str) -> Iterator[tuple[str, str]]:
    """Id and title of a chat that was saved before any fault."""
    title = f"saved {time.time()}"
    question = {"chat": {"title": title, "models": [], "messages": []}}
    status, answer = Session(serving.chat_address, token).ask("POST", "/api/v1/chats/new", question)
    assert status == 200, answer
    yield answer["id"], title
    Session(serving.chat_address, token).ask("DELETE", f"/api/v1/chats/{answer['id']}")


@pytest.fixture
def steady(serving: Serving, token: str, saved: tuple[str, str]) -> Iterator[None]:
    """A fleet of healthy instances that does not grow with the load of the test; checks that the saved chat remains."""
    with fleet.suspended(serving, "AlarmNotification"):
        fleet.until(lambda: fleet.whole(serving), "whole fleet", fleet.WHOLE_SECONDS)
        yield
    status, answer = Session(serving.chat_address, token).ask("GET", f"/api/v1/chats/{saved[0]}")
    assert status == 200, answer
    assert answer["chat"]["title"] == saved[1]


@pytest.fixture
def instance(serving: Serving, steady: None) -> str:
    """The instance that the fault hits."""
    return serving.healthy()[0]


@pytest.fixture
def report(capsys: pytest.CaptureFixture[str]) -> Report:
    return Report(capsys)


def _outputs(driver: Driver) -> dict[str, Any]:
    run = driver.run("outputs", "--env", "local", "--json")
    assert run.status == 0, run.err
    found: dict[str, Any] = run.json
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
