"""The cache requires its token in the end, even if a deploy was interrupted while it set the token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import secrets, settings
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.embedded_aws import Endpoint
from tests.embedded.conftest import REGION

TOKEN = "a-token-of-16-or-more-characters"


@pytest.fixture
def context(endpoint: Endpoint, client: Callable[[str], Any], name: str) -> Context:
    """An environment whose cache has no token yet. The replication group has the fixture's ``name``."""
    where = locate()
    loaded = contract.load(where.contract)
    names = {**loaded.secrets, "cache": f"/{name}/{{environment}}/cache"}
    own = loaded.model_copy(update={"secrets": names})
    created = Context(where, settings.load(where, "local"), own, Aws(REGION, endpoint.url), {}, ())
    client("secretsmanager").create_secret(
        Name=own.secret("cache", "local"), SecretString=json.dumps({"auth_token": TOKEN})
    )
    client("elasticache").create_replication_group(
        ReplicationGroupId=name, ReplicationGroupDescription="test", Engine="valkey", CacheNodeType="cache.t4g.small",
        NumCacheClusters=2, AutomaticFailoverEnabled=True, TransitEncryptionEnabled=True,
    )  # fmt: skip
    return created


def changes(context: Context) -> list[str]:
    """Record the strategy of every change of the token from now on."""
    made: list[str] = []

    def record(params: Any, **_: Any) -> None:
        made.append(params["body"]["AuthTokenUpdateStrategy"])

    context.aws.elasticache.meta.events.register("before-call.elasticache.ModifyReplicationGroup", record)
    return made


def test_token_is_set_once(context: Context, name: str) -> None:
    made = changes(context)
    assert secrets.protect_cache(context, name) is True
    assert secrets.protect_cache(context, name) is False
    assert made == ["ROTATE", "SET"]
    value = context.aws.secretsmanager.get_secret_value(SecretId=context.contract.secret("cache", "local"))
    assert json.loads(value["SecretString"])["auth_token"] == TOKEN


def test_deploy_after_an_interruption_sets_the_token_that_the_cache_only_accepts(context: Context, name: str) -> None:
    """ROTATE on a cache without a token leaves it open to clients without one, and AWS shows the token as enabled."""
    context.aws.elasticache.modify_replication_group(
        ReplicationGroupId=name, AuthToken=TOKEN, AuthTokenUpdateStrategy="ROTATE", ApplyImmediately=True
    )
    made = changes(context)
    assert secrets.protect_cache(context, name) is True
    assert made == ["SET"]
    assert secrets.protect_cache(context, name) is False


def test_next_step_waits_for_a_pending_change_of_the_token(context: Context, name: str) -> None:
    states = iter(["ROTATING", "SETTING"])

    def show(parsed: Any, **_: Any) -> None:
        if pending := next(states, None):
            parsed["ReplicationGroups"][0]["PendingModifiedValues"] = {"AuthTokenStatus": pending}

    context.aws.elasticache.meta.events.register("after-call.elasticache.DescribeReplicationGroups", show)
    with pytest.MonkeyPatch.context() as patch:
        waits: list[float] = []
        patch.setattr("ollama_gpu.core.waiting.time.sleep", waits.append)
        secrets.protect_cache(context, name)
    assert waits == [5], "the first of the two answers is that of the look before any change"
