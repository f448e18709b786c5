"""The managed stores of an environment, as one data tier: it answers to their endpoints' names, with their secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass

from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of, parameter
from ollama_gpu.contract import Contract

from .data import DataSecrets


@dataclass(frozen=True)
class Stores:
    """``database`` and ``cache`` are the host names by which instances know them."""

    database: str
    cache: str
    secrets: DataSecrets


def wanted(aws: Aws, contract: Contract, environment: str) -> Stores | None:
    """What the fabric tells its instances of the stores; None while it does not exist or a secret has no value."""
    told = parameter(aws, contract.parameter("fabric", environment))
    if told is None:
        return None
    fabric = json.loads(told)
    master = _secret(aws, fabric["database"]["master_secret_arn"])
    token = _secret(aws, contract.secret("cache", environment))
    if master is None or token is None:
        return None
    secrets = DataSecrets(master["username"], master["password"], token["auth_token"])
    return Stores(fabric["database"]["host"], fabric["cache"]["host"], secrets)


def _secret(aws: Aws, identifier: str) -> dict[str, str] | None:
    try:
        value: dict[str, str] = json.loads(aws.secretsmanager.get_secret_value(SecretId=identifier)["SecretString"])
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":  # AWS's answer for a secret without a version, too
            return None
        raise
    return value
