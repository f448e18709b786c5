"""Records of releases in a real bucket: numbered once, written as a deploy goes, told as it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu import release_archive, release_diff
from ollama_gpu import release_records as records
from ollama_gpu.context import Context
from ollama_gpu.embedded_aws.process import Endpoint
from ollama_gpu.errors import UserError
from ollama_gpu.release_records import Keeper
from ollama_gpu.releases import Release
from ollama_gpu.terraform.errors import Interrupted

from .releases import bucketed

RELEASE = Release("0123456789ab", "c" * 64, "open-webui==1")
OUTPUTS = {"image_id": "ami-1", "fleets": {"interactive": {"launch_template": {"latest_version": 7}}}}


@pytest.fixture
def context(client: Callable[[str], Any], endpoint: Endpoint, name: str, tmp_path: Path) -> Context:
    made = bucketed(client, endpoint, name, tmp_path)
    client("s3").put_object(Bucket=f"{name}-state", Key=made.environment.state_key, Body=b"{}")
    return made


def deploy(context: Context, action: Callable[[Keeper], None] = lambda keeper: keeper.rolling(OUTPUTS)) -> int:
    keeper = records.begin(context, RELEASE)
    with records.kept(keeper):
        action(keeper)
    return keeper.record.number


def failing(error: BaseException, *, rolling: bool = False) -> Callable[[Keeper], None]:
    def action(keeper: Keeper) -> None:
        if rolling:
            keeper.rolling(OUTPUTS)
        raise error

    return action


def test_where_nothing_was_deployed_there_is_no_record(context: Context) -> None:
    assert records.listed(context) == []
    with pytest.raises(UserError, match="local has no release 1"):
        records.read(context, 1)


def test_a_deploy_is_recorded_with_what_it_takes_to_bring_it_again(
    context: Context, client: Callable[[str], Any], name: str
) -> None:
    own = {"parameters": {**context.contract.parameters, "models": f"/{name}/models"}}  # the account is the session's
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
    kept = release_archive.fetch(context, found.archive_sha256)
    assert "terraform/environments/local.tfvars" in release_archive.texts(kept)
    assert records.stands(context, RELEASE)
    assert not records.stands(context, Release("another", "c" * 64, "open-webui==1"))


@pytest.mark.parametrize(
    ("error", "rolling", "outcome", "cause"),
    [
        (UserError("The apply failed.", "Mend it."), False, "failed", "The apply failed."),
        (ZeroDivisionError("a defect"), True, "failed", "ZeroDivisionError: a defect"),
        (Interrupted("apply", "local", hard=False), False, "interrupted", ""),
        (KeyboardInterrupt(), False, "interrupted", ""),
        (KeyboardInterrupt(), True, "rolling out", ""),
    ],
)
def test_the_record_says_how_it_ended(
    context: Context, error: BaseException, rolling: bool, outcome: str, cause: str
) -> None:
    with pytest.raises(type(error)):
        deploy(context, failing(error, rolling=rolling))
    found = records.listed(context)[0]
    assert (found.outcome, found.cause) == (outcome, cause)
    assert not records.stands(context, RELEASE)
    assert (records.reopen(context) is not None) == (outcome == "rolling out")


def test_no_two_deploys_share_a_number(context: Context) -> None:
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: records.begin(context, RELEASE).record.number, range(4)))
    assert sorted(numbers) == [1, 2, 3, 4]
    assert [record.number for record in records.listed(context)] == [4, 3, 2, 1]
    assert [record.number for record in records.listed(context, 2)] == [4, 3]


def test_ten_comes_after_nine(context: Context) -> None:
    for _ in range(10):
        records.begin(context, RELEASE)
    assert records.listed(context, 1)[0].number == 10


def test_of_many_records_those_alone_are_read_that_tell_what_was_deployed_last(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        deploy(context)
    with pytest.raises(KeyboardInterrupt):
        deploy(context, failing(KeyboardInterrupt()))
    asked: list[int] = []
    read = records.read
    monkeypatch.setattr(records, "read", lambda context, number: asked.append(number) or read(context, number))
    found = records.last_deployed(context)
    assert found is not None
    assert (found.number, asked) == (3, [4, 3])


def test_an_archive_that_was_tampered_with_is_refused(context: Context, client: Callable[[str], Any]) -> None:
    first, second = deploy(context), deploy(context)
    assert release_diff.compare(context, first, second)["files"] == {}
    digest = records.read(context, first).archive_sha256
    bucket, key = context.contract.artifacts["bucket"], f"local/releases/{digest}.tar.gz"
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"something else")
    with pytest.raises(UserError, match="is not what was put there"):
        release_diff.compare(context, first, second)
    client("s3").delete_object(Bucket=bucket, Key=key)
    with pytest.raises(UserError, match="does not exist any more"):
        release_archive.fetch(context, digest)
