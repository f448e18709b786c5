"""Tests of ollama_gpu.environment.secrets: each empty secret gets a value once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from moto import mock_aws

from ollama_gpu.core.aws import Aws
from ollama_gpu.core.contract import Contract
from ollama_gpu.core.contract import load as load_contract
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import secrets, settings
from ollama_gpu.environment.settings import Environment
from tests.contexts import context_of


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield Aws("us-east-1")


@pytest.fixture
def contract() -> Contract:
    return load_contract(locate().contract)


@pytest.fixture
def local() -> Environment:
    return settings.load(locate(), "local")


@pytest.fixture
def empty(aws: Aws, contract: Contract) -> Aws:
    """An account with the environment's secrets as Terraform creates them, without values."""
    for key in contract.secrets:
        aws.secretsmanager.create_secret(Name=contract.secret(key, "local"))
    return aws


def value(aws: Aws, contract: Contract, key: str) -> str:
    return aws.secretsmanager.get_secret_value(SecretId=contract.secret(key, "local"))["SecretString"]


def test_every_secret_of_the_contract_gets_a_value(empty: Aws, contract: Contract, local: Environment) -> None:
    filled = secrets.fill(context_of(local, contract, empty))
    assert sorted(filled) == sorted(contract.secret(key, "local") for key in contract.secrets)
    assert all(value(empty, contract, key) for key in contract.secrets)


def test_a_value_is_never_overwritten(empty: Aws, contract: Contract, local: Environment) -> None:
    secrets.fill(context_of(local, contract, empty))
    before = {key: value(empty, contract, key) for key in contract.secrets}
    assert secrets.fill(context_of(local, contract, empty)) == []
    assert {key: value(empty, contract, key) for key in contract.secrets} == before


def test_values_are_long_and_distinct(empty: Aws, contract: Contract, local: Environment) -> None:
    secrets.fill(context_of(local, contract, empty))
    token = json.loads(value(empty, contract, "cache"))["auth_token"]
    password = json.loads(value(empty, contract, "database"))["password"]
    assert len({token, password, value(empty, contract, "webui_secret_key")}) == 3
    assert 16 <= len(token) <= 128, "ElastiCache's limits"
    assert token.isalnum(), "ElastiCache refuses most other characters, such as an underscore"


def test_the_administrators_email_address_has_the_environments_domain(
    empty: Aws, contract: Contract, local: Environment
) -> None:
    secrets.fill(context_of(local, contract, empty))
    assert json.loads(value(empty, contract, "administrator"))["email"] == "administrator@chat.ollama-gpu.test"
