"""One fabric for the whole suite: interrupted during its first deploy, then deployed, destroyed by the last test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from ollama_gpu.core.aws import Aws
from ollama_gpu.environment.embedded_aws import EmbeddedAws, Endpoint
from tests.fabric.driver import Driver, Run, wait_for

IN_ORDER = ("test_alarms", "test_watching", "test_documented", "test_deploy", "test_deploy_releases", "test_destroy")
"""Files that share the deployed fabric: read-only tests run before tests that change it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files above first, in this order, and then the rest in the original order."""

    def place(item: pytest.Item) -> int:
        name = item.path.stem
        return IN_ORDER.index(name) if name in IN_ORDER else len(IN_ORDER)

    where = [index for index, item in enumerate(items) if item.path.parent == Path(__file__).parent]
    ordered = sorted((items[index] for index in where), key=place)
    for index, item in zip(where, ordered, strict=True):
        items[index] = item


@dataclass(frozen=True)
class Account:
    """A bootstrapped account: the driver with its working folder, and the run that bootstrapped it."""

    driver: Driver
    endpoint: Endpoint
    aws: Aws
    first_run: Run


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A driver with a separate embedded AWS, which is always stopped at the end."""
    made = Driver(tmp_path_factory.mktemp("work"))
    yield made
    made.run("local-down")


@pytest.fixture(scope="session")
def bootstrapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An embedded AWS after bootstrap, without a fabric. Takes a minute, because the provider waits for S3."""
    driver = Driver(tmp_path_factory.mktemp("bootstrapped"))
    done = driver.run("bootstrap", "--env", "local", "--json")
    try:
        assert done.status == 0, done.err
        endpoint = EmbeddedAws(driver.work / "embedded-aws").running()
        assert endpoint is not None
        yield Account(driver, endpoint, Aws("us-east-1", endpoint.url), done)
    finally:
        driver.run("local-down")


@pytest.fixture(scope="session")
def interrupted(driver: Driver) -> Run:
    """A first deploy, ended by one Ctrl-C when most of the fabric existed and only slow resources were in progress.

    Not earlier: if Ctrl-C cuts off the response to a create call, no state records the resource, on AWS as here
    (docs/traps.md), and the last test counts what is left.
    """
    process = driver.start("deploy", "--env", "local", "--no-lab")
    seen, since = (0, 0), time.monotonic()

    def only_waiting() -> bool:
        """Whether the database is in progress and no other resource has started or completed for three seconds."""
        nonlocal seen, since
        assert process.poll() is None, process.communicate()
        logs = driver.logs("apply")
        lines = logs[-1].read_text().splitlines() if logs else []
        begun = [line for line in lines if '"type":"apply_start"' in line]
        made = [line for line in lines if '"type":"apply_complete"' in line]
        if (now := (len(begun), len(made))) != seen:
            seen, since = now, time.monotonic()
        database = [any("aws_db_instance.this" in line for line in each) for each in (begun, made)]
        return database == [True, False] and time.monotonic() - since > 3

    # Whatever goes wrong here is the failure of one test, and the deploy after it is the start of all others.
    try:
        wait_for(only_waiting, "the first apply to wait for its slow resources", 600)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=240)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        err += f"\n{error}"
        driver.run("local-down")
    return Run(process.returncode, out, err)


@pytest.fixture(scope="session")
def deployed(driver: Driver, interrupted: Run) -> dict[str, Any]:
    """The outputs of `make deploy ENV=local JSON=1`, run after the interruption."""
    done = driver.make("deploy", "ENV=local", "JSON=1", "LAB=off")
    assert done.status == 0, done.err
    outputs: dict[str, Any] = json.loads(done.out)
    return outputs


@pytest.fixture(scope="session")
def endpoint(driver: Driver, deployed: dict[str, Any]) -> str:
    return str(driver.run("env", "--env", "local", "--json").json["set"]["AWS_ENDPOINT_URL"])


@pytest.fixture(scope="session")
def aws(endpoint: str) -> Any:
    """A function that makes a client of the embedded AWS."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name="us-east-1")

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=endpoint)

    return client
