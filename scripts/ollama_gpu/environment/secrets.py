"""Fill the secrets that Terraform creates empty, and set Redis's authentication token.

Each value is generated here once and sent to Secrets Manager over TLS. It is stored nowhere else: not in Terraform's
state or variables, not in a log, not on a command line. A secret that has a value is never overwritten.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable
from typing import Literal

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.waiting import wait_until
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.settings import Environment

_SET = "set_auth_token"
"""Key in the cache's secret: the token without which the cache refuses clients."""


def fill(context: Context) -> list[str]:
    """Give every empty secret of the environment a value. Returns the names of the filled secrets."""
    filled = []
    for key, make in _MAKERS.items():
        name = context.contract.secret(key, context.environment.name)
        if _value(name, context.aws) is not None:
            continue
        context.aws.secretsmanager.put_secret_value(SecretId=name, SecretString=make(context.environment))
        filled.append(name)
    return filled


def administrator(context: Context) -> dict[str, str]:
    """The e-mail address and password of the first administrator. Raises UserError when the secret has no value."""
    name = context.contract.secret("administrator", context.environment.name)
    text = _value(name, context.aws)
    if text is None:
        raise UserError(f"The secret {name} has no value.", f"Deploy first: make deploy ENV={context.environment.name}")
    value: dict[str, str] = json.loads(text)
    return value


def has_client_secret(context: Context) -> bool:
    """Whether the client secret of the OpenID provider is stored for the environment."""
    text = _value(context.contract.secret("sign_on", context.environment.name), context.aws)
    return text is not None and bool(json.loads(text).get("client_secret"))


def set_client_secret(context: Context, client_secret: str) -> None:
    """Store the client secret of the OpenID provider. Instances read it when they boot.

    Raises UserError when the client secret is not valid (status 2), or when the environment is not deployed.
    """
    name = context.contract.secret("sign_on", context.environment.name)
    if not client_secret or any(character.isspace() for character in client_secret):
        remedy = "Pass it on standard input, as the provider shows it: ollama-gpu sign-on < FILE"
        raise UserError("The client secret is not valid: it is empty or contains a space.", remedy, status=2)
    try:
        context.aws.secretsmanager.put_secret_value(
            SecretId=name, SecretString=json.dumps({"client_secret": client_secret})
        )
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        remedy = f"Deploy first, without the variable sign_on: make deploy ENV={context.environment.name}"
        raise UserError(f"The secret {name} does not exist yet.", remedy) from error


def protect_cache(context: Context, replication_group: str) -> bool:
    """Make Redis require the token in its secret. Returns whether this was needed.

    Terraform does not manage the token: the token must not be in the state, and the provider has no write-only argument
    for it. ROTATE accepts the token in addition to clients without one. SET, which AWS allows only after ROTATE, then
    refuses clients without it. The secret records that SET succeeded, because AWS does not show it: after an
    interruption between the two, the next call continues with SET.
    """
    group = context.aws.elasticache.describe_replication_groups(ReplicationGroupId=replication_group)[
        "ReplicationGroups"
    ][0]
    name = context.contract.secret("cache", context.environment.name)
    secret = json.loads(context.aws.secretsmanager.get_secret_value(SecretId=name)["SecretString"])
    token = secret["auth_token"]
    if group.get("AuthTokenEnabled") and secret.get(_SET) == token:
        return False
    if not group.get("AuthTokenEnabled"):
        _change_token(context.aws, replication_group, token, "ROTATE")
    _change_token(context.aws, replication_group, token, "SET")
    context.aws.secretsmanager.put_secret_value(SecretId=name, SecretString=json.dumps({**secret, _SET: token}))
    return True


def _change_token(aws: Aws, replication_group: str, token: str, strategy: Literal["ROTATE", "SET"]) -> None:
    _wait_available(aws, replication_group)
    aws.elasticache.modify_replication_group(
        ReplicationGroupId=replication_group,
        AuthToken=token,
        AuthTokenUpdateStrategy=strategy,
        ApplyImmediately=True,
    )
    _wait_available(aws, replication_group)


def _wait_available(aws: Aws, replication_group: str) -> None:
    def available() -> bool:
        group = aws.elasticache.describe_replication_groups(ReplicationGroupId=replication_group)["ReplicationGroups"][
            0
        ]
        # An accepted change of the token is pending before the status says `modifying` (API reference,
        # ReplicationGroupPendingModifiedValues).
        return group["Status"] == "available" and not group.get("PendingModifiedValues", {}).get("AuthTokenStatus")

    # Setting a token on two nodes takes 5 to 15 minutes (ElastiCache's documentation). Fail after twice that time.
    wait_until(available, f"the cache {replication_group} to be available", seconds=1800, every=5)


def _value(name: str, aws: Aws) -> str | None:
    try:
        return aws.secretsmanager.get_secret_value(SecretId=name).get("SecretString", "")
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":  # AWS also answers this for a secret without a version
            return None
        raise


def _webui_secret_key(_: Environment) -> str:
    return secrets.token_urlsafe(48)


def _database(_: Environment) -> str:
    return json.dumps({"username": "open_webui", "password": secrets.token_urlsafe(32)})


def _cache(_: Environment) -> str:
    # ElastiCache accepts 16 to 128 characters. Few besides letters and digits are allowed; an underscore is not.
    return json.dumps({"auth_token": _letters_and_digits(64)})


def _letters_and_digits(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))


def _administrator(environment: Environment) -> str:
    domain = environment.variables.edge.domain
    host = domain.name if domain else "localhost.localdomain"
    return json.dumps({"email": f"administrator@{host}", "password": secrets.token_urlsafe(24)})


def _sign_on(_: Environment) -> str:
    return json.dumps({"client_secret": ""})  # the OpenID provider issues it; `ollama-gpu sign-on` stores it


_MAKERS: dict[str, Callable[[Environment], str]] = {
    "webui_secret_key": _webui_secret_key,
    "database": _database,
    "cache": _cache,
    "administrator": _administrator,
    "sign_on": _sign_on,
}
