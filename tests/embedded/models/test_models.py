"""Models that the driver publishes reach an instance through parameter and bucket, with their digests."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core import contract, paths
from ollama_gpu.core.aws import Aws
from ollama_gpu.environment import settings
from ollama_gpu.environment.embedded_aws import Endpoint
from ollama_gpu.environment.settings import Environment
from ollama_gpu.fabric import preflight
from ollama_gpu.models import model_set as models
from ollama_gpu.models import store as model_store
from ollama_gpu.models.memory import Serving
from ollama_gpu.models.model_set import ModelSet
from tests.contexts import context_of
from tests.unit.collection import programs
from tests.unit.models import gguf_files
from tests.unit.models.test_model_set import Store

AGREED = contract.load(paths.locate().contract)
GEMMA = "registry.ollama.ai/library/gemma3/4b"
LARGE_LAYERS = 600  # 4 slots of 4096 tokens of these take 18.75 GiB: an A10G holds them, a T4 does not


def environment(name: str, instance_type: str) -> Environment:
    """Return an environment with one instance type."""
    found = settings.load(paths.locate(), "prod")
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


def make_set(name: str, instance_type: str, aws: Aws, store: Store) -> ModelSet:
    where = model_store.Store(store.root)
    return ModelSet(context_of(environment(name, instance_type), AGREED, aws), Serving(4, 4096), where, lambda _: None)


def test_instance_gets_every_published_digest(
    aws: Aws, store: Store, name: str, endpoint: Endpoint, tmp_path: Path
) -> None:
    model_set = make_set(name, "g5.xlarge", aws, store)
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
    program = [*programs.command("model_store", "ollama-gpu-models"), "sync"]
    command = [*program, "--store", str(target), "--source", source, "--s3-endpoint", endpoint.url]
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
    command += ["--", *(f"{each['name']}@{each['digest']}" for each in named)]
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **keys, "NO_PROXY": "*"}, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert model_store.Store(target).manifest("gemma3:4b").digest == old


def test_preflight_rejects_instance_types_too_small_for_models(aws: Aws, store: Store, name: str) -> None:
    store.add(GEMMA, b"{}", gguf_files.llama(layers=LARGE_LAYERS))
    make_set(name, "g5.xlarge", aws, store).publish([{"name": "gemma3:4b"}])
    fits = preflight.model_set(context_of(environment(name, "g5.xlarge"), AGREED, aws))
    assert fits.state == "ok"
    assert fits.seen.startswith("gemma3:4b: 19.")
    refused = preflight.model_set(context_of(environment(name, "g4dn.xlarge"), AGREED, aws))
    assert refused.state == "failed"
    assert "do not fit a GPU of g4dn.xlarge (T4, 15.00 GiB): gemma3:4b: weights" in refused.seen
    assert "KV cache 18.75 GiB" in refused.seen


def test_removed_model_set_leaves_nothing(aws: Aws, store: Store, name: str) -> None:
    model_set = make_set(name, "g5.xlarge", aws, store)
    store.add(GEMMA, b"{}")
    model_set.publish([{"name": "gemma3:4b"}])
    models.unpublish(model_set.context)
    bucket = AGREED.artifact_bucket(aws.identity.account, "us-east-1")
    assert aws.s3.list_objects_v2(Bucket=bucket, Prefix=f"models/{name}/")["KeyCount"] == 0
    assert models.published(model_set.context) is None
