"""Secrets get a value once, and Redis the token of its secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from moto import mock_aws

from ollama_gpu import contract, environments, secret_values
from ollama_gpu.aws import Aws
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.paths import locate


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield Aws("us-east-1")


@pytest.fixture
def agreed() -> Contract:
    return contract.load(locate().contract)


@pytest.fixture
def local() -> Environment:
    return environments.load(locate(), "local")


@pytest.fixture
def empty(aws: Aws, agreed: Contract) -> Aws:
    """An account with the environment's secrets, none with a value: what Terraform leaves."""
    for key in agreed.secrets:
        aws.secretsmanager.create_secret(Name=agreed.secret(key, "local"))
    return aws


def value(aws: Aws, agreed: Contract, key: str) -> str:
    return aws.secretsmanager.get_secret_value(SecretId=agreed.secret(key, "local"))["SecretString"]


def test_every_secret_of_the_contract_gets_a_value(empty: Aws, agreed: Contract, local: Environment) -> None:
    filled = secret_values.fill(local, agreed, empty)
    assert sorted(filled) == sorted(agreed.secret(key, "local") for key in agreed.secrets)
    assert all(value(empty, agreed, key) for key in agreed.secrets)


def test_a_value_is_never_overwritten(empty: Aws, agreed: Contract, local: Environment) -> None:
    secret_values.fill(local, agreed, empty)
    before = {key: value(empty, agreed, key) for key in agreed.secrets}
    assert secret_values.fill(local, agreed, empty) == []
    assert {key: value(empty, agreed, key) for key in agreed.secrets} == before


def test_values_are_long_and_differ(empty: Aws, agreed: Contract, local: Environment) -> None:
    secret_values.fill(local, agreed, empty)
    token = json.loads(value(empty, agreed, "cache"))["auth_token"]
    password = json.loads(value(empty, agreed, "database"))["password"]
    assert len({token, password, value(empty, agreed, "webui_secret_key")}) == 3
    assert 16 <= len(token) <= 128, "ElastiCache's limits"
    assert token.isalnum(), "ElastiCache refuses most other characters, an underscore among them"


def test_the_administrator_is_named_after_the_front_door(empty: Aws, agreed: Contract, local: Environment) -> None:
    secret_values.fill(local, agreed, empty)
    assert json.loads(value(empty, agreed, "administrator"))["email"] == "administrator@chat.ollama-gpu.test"
