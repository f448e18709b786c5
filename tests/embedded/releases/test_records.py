"""Records of releases in a bucket: unique numbers, updates during a deploy, outcomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.embedded_aws import Endpoint
from ollama_gpu.releases import archive, diff, records
from ollama_gpu.releases.records import RecordWriter
from ollama_gpu.releases.release import Release
from ollama_gpu.terraform.errors import Interrupted

from .recorded import bucketed

RELEASE = Release("0123456789ab", "c" * 64, "open-webui==1")
OUTPUTS = {"image_id": "ami-1", "fleets": {"interactive": {"launch_template": {"latest_version": 7}}}}


@pytest.fixture
def context(client: Callable[[str], Any], endpoint: Endpoint, name: str, tmp_path: Path) -> Context:
    created = bucketed(client, endpoint, name, tmp_path)
    client("s3").put_object(Bucket=f"{name}-state", Key=created.environment.state_key, Body=b"{}")
    return created


def deploy(
    context: Context, action: Callable[[RecordWriter], None] = lambda writer: writer.rolling_out(OUTPUTS)
) -> int:
    writer = records.begin(context, RELEASE)
    with records.recording(writer):
        action(writer)
    return writer.record.number


def failing(error: BaseException, *, rolling: bool = False) -> Callable[[RecordWriter], None]:
    def action(writer: RecordWriter) -> None:
        if rolling:
            writer.rolling_out(OUTPUTS)
        raise error

    return action


def test_no_record_before_first_deploy(context: Context) -> None:
    assert records.listed(context) == []
    with pytest.raises(UserError, match="local has no release 1"):
        records.read(context, 1)


def test_record_has_what_a_redeploy_needs(context: Context, client: Callable[[str], Any], name: str) -> None:
    own = {"parameters": {**context.contract.parameters, "models": f"/{name}/models"}}  # all tests share the account
    context = replace(context, contract=context.contract.model_copy(update=own))
    served = {"gemma3:4b": f"sha256:{'a' * 64}", "nomic-embed-text": f"sha256:{'b' * 64}"}
    client("ssm").put_parameter(
        Name=f"/{name}/models",
        Value=json.dumps({"models": [{"name": model, "digest": digest} for model, digest in served.items()]}),
        Type="String",
    )
    number = deploy(context)
    found = records.read(context, number)
    assert found.number == number
    assert found.models == served
    assert (found.collection_sha256, found.open_webui) == (RELEASE.collection_sha256, RELEASE.open_webui)
    assert (found.outcome, found.release, found.image, found.templates) == (
        "deployed",
        "0123456789ab",
        "ami-1",
        {"interactive": "7"},
    )
    assert found.by.startswith("arn:aws:")
    assert found.ended is not None
    assert found.ended >= found.began
    state = {"Bucket": f"{name}-state", "Key": context.environment.state_key}
    assert found.state_version == client("s3").head_object(**state)["VersionId"]
    kept = archive.fetch(context, found.archive_sha256)
    assert "terraform/environments/local.tfvars" in archive.texts(kept)
    assert records.is_deployed(context, RELEASE)
    assert not records.is_deployed(context, Release("another", "c" * 64, "open-webui==1"))


@pytest.mark.parametrize(
    ("error", "rolling", "outcome", "cause"),
    [
        (UserError("The apply failed.", "Fix it."), False, "failed", "The apply failed."),
        (ZeroDivisionError("a defect"), True, "failed", "ZeroDivisionError: a defect"),
        (Interrupted("apply", "local", hard=False), False, "interrupted", ""),
        (KeyboardInterrupt(), False, "interrupted", ""),
        (KeyboardInterrupt(), True, "rolling out", ""),
    ],
)
def test_record_has_outcome_of_deploy(
    context: Context, error: BaseException, rolling: bool, outcome: str, cause: str
) -> None:
    with pytest.raises(type(error)):
        deploy(context, failing(error, rolling=rolling))
    found = records.listed(context)[0]
    assert (found.outcome, found.cause) == (outcome, cause)
    assert not records.is_deployed(context, RELEASE)
    assert (records.reopen(context) is not None) == (outcome == "rolling out")


def test_concurrent_deploys_have_different_numbers(context: Context) -> None:
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: records.begin(context, RELEASE).record.number, range(4)))
    assert sorted(numbers) == [1, 2, 3, 4]
    assert [record.number for record in records.listed(context)] == [4, 3, 2, 1]
    assert [record.number for record in records.listed(context, 2)] == [4, 3]


def test_records_are_sorted_by_number(context: Context) -> None:
    for _ in range(10):
        records.begin(context, RELEASE)
    assert records.listed(context, 1)[0].number == 10


def test_last_deployed_reads_only_newest_records(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        deploy(context)
    with pytest.raises(KeyboardInterrupt):
        deploy(context, failing(KeyboardInterrupt()))
    requested: list[int] = []
    read = records.read
    monkeypatch.setattr(records, "read", lambda context, number: requested.append(number) or read(context, number))
    found = records.last_deployed(context)
    assert found is not None
    assert (found.number, requested) == (3, [4, 3])


def test_modified_archive_is_rejected(context: Context, client: Callable[[str], Any]) -> None:
    first, second = deploy(context), deploy(context)
    assert diff.compare(context, first, second)["files"] == {}
    digest = records.read(context, first).archive_sha256
    bucket, key = context.contract.artifacts["bucket"], f"local/releases/{digest}.tar.gz"
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"something else")
    with pytest.raises(UserError, match="was modified"):
        diff.compare(context, first, second)
    client("s3").delete_object(Bucket=bucket, Key=key)
    with pytest.raises(UserError, match="no longer exists"):
        archive.fetch(context, digest)
