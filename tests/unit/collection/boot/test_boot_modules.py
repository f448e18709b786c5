"""The modules that read parameters and secrets, run by Ansible against a real AWS API."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from threading import Timer
from typing import Any

import pytest

from .conftest import REGION, REPOSITORY

Aws = Callable[[str], Any]


def module(name: str, check: bool = False, **arguments: Any) -> dict[str, Any]:
    """Run a module of the collection with Ansible and return its result."""
    command = ["ansible", "localhost", "--connection", "local", "--module-name", f"ollama.gpu.{name}"]
    command += ["--args", json.dumps({"region": REGION, **arguments}), *(["--check"] if check else [])]
    command += ["--extra-vars", f"ansible_python_interpreter={sys.executable}"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert "=> " in ran.stdout, ran.stdout + ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout.partition("=> ")[2])
    return answer


@pytest.fixture
def name() -> str:
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.mark.parametrize("check", [False, True])
def test_a_parameter_is_read_and_json_is_parsed(aws: Aws, name: str, check: bool) -> None:
    aws("ssm").put_parameter(Name=f"/{name}/fabric", Value='{"environment": "prod"}', Type="String")
    aws("ssm").put_parameter(Name=f"/{name}/image", Value="ami-1", Type="String")
    answer = module("parameter_info", check, names={"fabric": f"/{name}/fabric", "image": f"/{name}/image"})
    assert answer["parameters"] == {"fabric": {"environment": "prod"}, "image": "ami-1"}
    assert answer["changed"] is False


def test_missing_parameter_is_reported_with_the_remedy(aws: Aws, name: str) -> None:
    answer = module("parameter_info", names={"fabric": f"/{name}/fabric"})
    assert answer["msg"] == f"The parameter /{name}/fabric does not exist: run the deploy of this environment again."


def test_module_waits_for_a_missing_parameter(aws: Aws, name: str) -> None:
    parameter = {"Name": f"/{name}/fabric", "Value": "[1]", "Type": "String"}
    later = Timer(4, aws("ssm").put_parameter, kwargs=parameter)
    later.start()
    answer = module("parameter_info", names={"fabric": f"/{name}/fabric"}, wait_seconds=60)
    assert answer["parameters"] == {"fabric": [1]}


def test_secrets_are_read_and_json_is_parsed(aws: Aws, name: str) -> None:
    aws("secretsmanager").create_secret(Name=f"{name}/database", SecretString='{"username": "u", "password": "p"}')
    aws("secretsmanager").create_secret(Name=f"{name}/key", SecretString="12345")
    answer = module("secret_info", names={"database": f"{name}/database", "key": f"{name}/key"})
    # a key of digits stays text
    assert answer["secrets"] == {"database": {"username": "u", "password": "p"}, "key": "12345"}


def test_secret_without_value_is_reported_with_the_remedy(aws: Aws, name: str) -> None:
    aws("secretsmanager").create_secret(Name=f"{name}/database")
    answer = module("secret_info", names={"database": f"{name}/database"})
    assert answer["msg"] == f"The secret {name}/database has no value: run the deploy of this environment again."


def test_unreachable_address_is_reported(aws: Aws, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    answer = module("secret_info", names={"key": name}, endpoint_url="http://127.0.0.1:9")
    assert answer["msg"].startswith(f"The secret {name} cannot be read: Could not connect")


def test_endpoint_option_overrides_the_environment(
    aws: Aws, aws_url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws("ssm").put_parameter(Name=f"/{name}/x", Value="y", Type="String")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    answer = module("parameter_info", names={"x": f"/{name}/x"}, endpoint_url=aws_url)
    assert answer["parameters"] == {"x": "y"}
