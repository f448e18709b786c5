"""The managed stores of an environment, as one data tier: it answers to their endpoints' names, with their secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of, parameter
from ollama_gpu.contract import Contract

from .data import DataSecrets


@dataclass(frozen=True)
class Stores:
    """``database`` and ``cache`` are the host names by which instances know them.

    ``server`` is the RDS instance that has the database's name now, by its resource id; empty while none has it.
    """

    database: str
    cache: str
    secrets: DataSecrets
    server: str


def wanted(aws: Aws, contract: Contract, environment: str) -> Stores | None:
    """What the fabric tells its instances of the stores; None while it does not exist or a secret has no value."""
    told = parameter(aws, contract.parameter("fabric", environment))
    if told is None:
        return None
    fabric = json.loads(told)
    token = _secret(aws, contract.secret("cache", environment))
    if token is None:
        return None
    hosts = fabric["database"]["host"], fabric["cache"]["host"]
    found = _server(aws, hosts[0])
    if found is None:
        return Stores(*hosts, DataSecrets("", "", token["auth_token"]), "")
    master = _secret(aws, found["MasterUserSecret"]["SecretArn"]) if "MasterUserSecret" in found else None
    if master is None:
        return None
    secrets = DataSecrets(master["username"], master["password"], token["auth_token"])
    return Stores(*hosts, secrets, found["DbiResourceId"])


def _server(aws: Aws, host: str) -> dict[str, Any] | None:
    """The instance that answers to the name; one that is still being restored has nothing in it yet."""
    found = aws.client("rds").describe_db_instances()["DBInstances"]
    return next(
        (each for each in found if each["Endpoint"]["Address"] == host and each["DBInstanceStatus"] == "available"),
        None,
    )


def _secret(aws: Aws, identifier: str) -> dict[str, str] | None:
    try:
        value: dict[str, str] = json.loads(aws.secretsmanager.get_secret_value(SecretId=identifier)["SecretString"])
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":  # AWS's answer for a secret without a version, too
            return None
        raise
    return value
