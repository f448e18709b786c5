"""Fills the secrets that Terraform made empty, and gives Redis its token.

Values are made here once, go straight to Secrets Manager over TLS and are kept nowhere else: not in Terraform's
state or variables, not in a log, not on a command line. A secret that has a value is never overwritten.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable

from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.waiting import wait_until


def fill(environment: Environment, contract: Contract, aws: Aws) -> list[str]:
    """Give every empty secret of the environment a value; return the names of those that got one."""
    filled = []
    for key, make in _MAKERS.items():
        name = contract.secret(key, environment.name)
        if _value(name, aws) is not None:
            continue
        aws.secretsmanager.put_secret_value(SecretId=name, SecretString=make(environment))
        filled.append(name)
    return filled


def administrator(environment: Environment, contract: Contract, aws: Aws) -> dict[str, str]:
    """E-mail address and password of the first administrator. Raises UserError where none was made."""
    name = contract.secret("administrator", environment.name)
    text = _value(name, aws)
    if text is None:
        raise UserError(f"The secret {name} has no value.", f"Deploy it with: make deploy ENV={environment.name}")
    value: dict[str, str] = json.loads(text)
    return value


def has_client_secret(environment: Environment, contract: Contract, aws: Aws) -> bool:
    """Whether the environment knows the secret of its client at the OpenID provider."""
    text = _value(contract.secret("sign_on", environment.name), aws)
    return text is not None and bool(json.loads(text).get("client_secret"))


def set_client_secret(environment: Environment, contract: Contract, aws: Aws, client_secret: str) -> None:
    """Keep what the OpenID provider gave out; instances read it when they boot. Raises UserError without a place."""
    name = contract.secret("sign_on", environment.name)
    if not client_secret or any(character.isspace() for character in client_secret):
        remedy = "Give it on standard input, as the provider shows it: ollama-gpu sign-on < FILE"
        raise UserError("That is no client secret: it is empty or holds a space.", remedy, status=2)
    try:
        aws.secretsmanager.put_secret_value(SecretId=name, SecretString=json.dumps({"client_secret": client_secret}))
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        remedy = f"Deploy first, without sign_on: make deploy ENV={environment.name}"
        raise UserError(f"The secret {name} does not exist yet.", remedy) from error


def protect_cache(environment: Environment, contract: Contract, aws: Aws, replication_group: str) -> bool:
    """Make Redis demand the token of its secret; true when it did not before.

    The provider has no write-only argument for the token, and it must not be in the state, so Terraform leaves it
    alone. ROTATE adds the token beside the open door, SET, which AWS allows only after ROTATE, closes it.
    """
    group = aws.elasticache.describe_replication_groups(ReplicationGroupId=replication_group)["ReplicationGroups"][0]
    if group.get("AuthTokenEnabled"):
        return False
    value = aws.secretsmanager.get_secret_value(SecretId=contract.secret("cache", environment.name))["SecretString"]
    token = json.loads(value)["auth_token"]
    for strategy in ("ROTATE", "SET"):
        _wait_available(aws, replication_group)
        aws.elasticache.modify_replication_group(
            ReplicationGroupId=replication_group,
            AuthToken=token,
            AuthTokenUpdateStrategy="ROTATE" if strategy == "ROTATE" else "SET",
            ApplyImmediately=True,
        )
    _wait_available(aws, replication_group)
    return True


def _wait_available(aws: Aws, replication_group: str) -> None:
    def available() -> bool:
        answer = aws.elasticache.describe_replication_groups(ReplicationGroupId=replication_group)
        return answer["ReplicationGroups"][0]["Status"] == "available"

    # ElastiCache says 5 to 15 minutes for a token on two nodes; twice that, then the person should know.
    wait_until(available, f"the cache {replication_group} to be available", seconds=1800, every=5)


def _value(name: str, aws: Aws) -> str | None:
    try:
        return aws.secretsmanager.get_secret_value(SecretId=name).get("SecretString", "")
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":  # AWS's answer for a secret without a version, too
            return None
        raise


def _webui_secret_key(_: Environment) -> str:
    return secrets.token_urlsafe(48)


def _database(_: Environment) -> str:
    return json.dumps({"username": "open_webui", "password": secrets.token_urlsafe(32)})


def _cache(_: Environment) -> str:
    # ElastiCache takes 16 to 128 characters, of which those that are neither letter nor digit are few: no underscore.
    return json.dumps({"auth_token": _letters_and_digits(64)})


def _letters_and_digits(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def _administrator(environment: Environment) -> str:
    domain = environment.variables.edge.domain
    host = domain.name if domain else "localhost.localdomain"
    return json.dumps({"email": f"administrator@{host}", "password": secrets.token_urlsafe(24)})


def _sign_on(_: Environment) -> str:
    return json.dumps({"client_secret": ""})  # the provider gives it out: `ollama-gpu sign-on`


_MAKERS: dict[str, Callable[[Environment], str]] = {
    "webui_secret_key": _webui_secret_key,
    "database": _database,
    "cache": _cache,
    "administrator": _administrator,
    "sign_on": _sign_on,
}
