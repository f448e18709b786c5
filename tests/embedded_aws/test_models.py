"""What the driver publishes is what an instance gets, over the embedded AWS: parameter, bucket, digests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu import contract, environments, model_store, models, paths, preflight
from ollama_gpu.aws import Aws
from ollama_gpu.embedded_aws.process import Endpoint
from ollama_gpu.environments import Environment
from ollama_gpu.model_memory import Serving
from ollama_gpu.models import ModelSet
from tests.unit import gguf_files
from tests.unit.collection.programs import ROLES
from tests.unit.test_models import Store

AGREED = contract.load(paths.locate().contract)
GEMMA = "registry.ollama.ai/library/gemma3/4b"
LARGE_LAYERS = 600  # 4 slots of 4096 tokens of these take 18.75 GiB: an A10G holds them, a T4 does not


def environment(name: str, instance_type: str) -> Environment:
    """An environment of this test's own, with one type of instance."""
    found = environments.load(paths.locate(), "prod")
    fleet = found.variables.fleets["interactive"].model_copy(update={"instance_types": [instance_type]})
    variables = found.variables.model_copy(update={"environment": name, "fleets": {"interactive": fleet}})
    return replace(found, name=name, variables=variables)


@pytest.fixture
def aws(endpoint: Endpoint, client: Callable[[str], Any]) -> Aws:
    account = Aws("us-east-1", endpoint.url)
    bucket = AGREED.artifact_bucket(account.identity.account, "us-east-1")
    known = [each["Name"] for each in client("s3").list_buckets()["Buckets"]]
    if bucket not in known:
        client("s3").create_bucket(Bucket=bucket)
    return account


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "driver").mkdir()
    return Store(tmp_path / "driver")


def of(name: str, instance_type: str, aws: Aws, store: Store) -> ModelSet:
    where = model_store.Store(store.root)
    return ModelSet(environment(name, instance_type), AGREED, aws, Serving(4, 4096), where, lambda _: None)


def test_an_instance_gets_every_digest_that_was_published(
    aws: Aws, store: Store, name: str, endpoint: Endpoint, tmp_path: Path
) -> None:
    model_set = of(name, "g5.xlarge", aws, store)
    old = store.add(GEMMA, b"{}")
    model_set.publish([{"name": "gemma3:4b"}])
    store.add(GEMMA, b"{}", gguf_files.llama(b"newer"))
    model_set.pin({"name": "gemma3:4b"})
    model_set.pin({"name": "gemma3:4b", "digest": old})
    named = json.loads(aws.ssm.get_parameter(Name=AGREED.parameter("models", name))["Parameter"]["Value"])["models"]
    assert [each["digest"] for each in named] == [old]
    target = tmp_path / "instance"
    target.mkdir()
    bucket = AGREED.artifact_bucket(aws.identity.account, "us-east-1")
    source = f"s3://{bucket}/{AGREED.artifacts['models'].format(environment=name, file='').rstrip('/')}"
    program = [sys.executable, str(ROLES / "model_store" / "files" / "ollama-gpu-models"), "sync"]
    command = [*program, "--store", str(target), "--source", source, "--s3-endpoint", endpoint.url]
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    command += ["--", *(f"{each['name']}@{each['digest']}" for each in named)]
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **keys, "NO_PROXY": "*"}, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert model_store.Store(target).manifest("gemma3:4b").digest == old


def test_preflight_refuses_types_that_cannot_hold_what_is_served(aws: Aws, store: Store, name: str) -> None:
    store.add(GEMMA, b"{}", gguf_files.llama(layers=LARGE_LAYERS))
    of(name, "g5.xlarge", aws, store).publish([{"name": "gemma3:4b"}])
    fits = preflight.model_set(environment(name, "g5.xlarge"), AGREED, aws)
    assert fits.state == "ok"
    assert fits.seen.startswith("gemma3:4b: 19.")
    refused = preflight.model_set(environment(name, "g4dn.xlarge"), AGREED, aws)
    assert refused.state == "failed"
    assert "do not fit a GPU of g4dn.xlarge (T4, 15.00 GiB): gemma3:4b: weights" in refused.seen
    assert "KV cache 18.75 GiB" in refused.seen


def test_without_a_set_the_environment_leaves_nothing(aws: Aws, store: Store, name: str) -> None:
    model_set = of(name, "g5.xlarge", aws, store)
    store.add(GEMMA, b"{}")
    model_set.publish([{"name": "gemma3:4b"}])
    models.forget(model_set.environment, AGREED, aws)
    bucket = AGREED.artifact_bucket(aws.identity.account, "us-east-1")
    assert aws.s3.list_objects_v2(Bucket=bucket, Prefix=f"models/{name}/")["KeyCount"] == 0
    assert models.published(model_set.environment, AGREED, aws) is None
