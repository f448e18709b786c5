"""The names and secrets of an environment's managed stores, with which the data tier replaces them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of, parameter
from ollama_gpu.core.contract import Contract

from .data import DataSecrets


@dataclass(frozen=True)
class Stores:
    """``database`` and ``cache`` are the stores' host names for instances.

    ``server`` is the resource ID of the RDS instance that now has the database's name; empty while there is none.
    """

    database: str
    cache: str
    secrets: DataSecrets
    server: str


def wanted(aws: Aws, contract: Contract, environment: str) -> Stores | None:
    """Return the stores as the fabric publishes them; None while there is no fabric or a secret has no value."""
    published = parameter(aws, contract.parameter("fabric", environment))
    if published is None:
        return None
    fabric = json.loads(published)
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
    """Return the instance with this host name. It serves while it is modified. A restored one has no data at first."""
    found = aws.client("rds").describe_db_instances()["DBInstances"]
    return next(
        (each for each in found if each["Endpoint"]["Address"] == host and each["DBInstanceStatus"] != "creating"),
        None,
    )


def _secret(aws: Aws, identifier: str) -> dict[str, str] | None:
    try:
        value: dict[str, str] = json.loads(aws.secretsmanager.get_secret_value(SecretId=identifier)["SecretString"])
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":  # also AWS's error for a secret without a value
            return None
        raise
    return value
