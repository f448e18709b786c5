"""`ollama-gpu bootstrap`: an account's one-time resources, with their state in the bucket that it creates. In order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.paths import locate
from ollama_gpu.environment import images
from tests.fabric.conftest import Account
from tests.fabric.driver import Run

AGREED = contract.load(locate().contract)
REGION = "us-east-1"
ACCOUNT = "123456789012"
STATE = {"Bucket": AGREED.state_bucket(ACCOUNT, REGION), "Key": AGREED.state["bootstrap_key"]}
IMAGE = AGREED.parameter("image", "local")
BAKED = "ami-0123456789abcdef0"


def run(account: Account) -> Run:
    return account.driver.run("bootstrap", "--env", "local", "--json")


def state(aws: Aws) -> bytes:
    return aws.s3.get_object(**STATE)["Body"].read()


def published_image(aws: Aws) -> str:
    return aws.ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"]


def states_on_disk(account: Account) -> list[Path]:
    """State files with resources; Terraform's `terraform.tfstate` in TF_DATA_DIR only names the backend."""
    folder = account.driver.work / "bootstrap"
    return [path for path in folder.rglob("*tfstate*") if path.parent.name != "terraform" or "resources" in text(path)]


def text(path: Path) -> str:
    return path.read_text(errors="replace")


def applies(account: Account) -> int:
    return len(list((account.driver.work / "bootstrap").rglob("*-apply.jsonl")))


def sources(account: Account) -> Path:
    """The working directory of bootstrap's Terraform: a copy of the sources in the working folder."""
    (file,) = (account.driver.work / "bootstrap").rglob("state_bucket.tf")
    return file.parent


def test_the_outputs_name_the_created_buckets(bootstrapped: Account) -> None:
    outputs = bootstrapped.first_run.json
    assert outputs["state_bucket"] == STATE["Bucket"]
    assert outputs["artifact_bucket"] == AGREED.artifact_bucket(ACCOUNT, REGION)
    buckets = {bucket["Name"] for bucket in bootstrapped.aws.s3.list_buckets()["Buckets"]}
    assert {outputs["state_bucket"], outputs["artifact_bucket"]} <= buckets


def test_the_state_is_in_the_created_bucket_and_not_on_disk(bootstrapped: Account) -> None:
    types = {resource["type"] for resource in json.loads(state(bootstrapped.aws))["resources"]}
    assert {"aws_s3_bucket", "aws_kms_key", "aws_iam_role"} <= types
    assert states_on_disk(bootstrapped) == []
    assert not (sources(bootstrapped) / "backend_override.tf").exists()


def test_the_committed_files_are_unchanged(bootstrapped: Account) -> None:
    committed = locate().terraform / "bootstrap"
    strays = [path.name for path in committed.rglob("*") if "tfstate" in path.name or "override" in path.name]
    assert strays == []
    assert not (committed / ".terraform").exists()


def test_an_environment_without_a_baked_image_starts_from_the_stock_image(bootstrapped: Account) -> None:
    stock = bootstrapped.aws.ssm.get_parameter(Name=images.STOCK_PARAMETER)["Parameter"]["Value"]
    assert published_image(bootstrapped.aws) == stock
    assert stock in bootstrapped.first_run.err


def test_an_existing_bucket_without_a_state_is_refused_and_not_changed(bootstrapped: Account) -> None:
    kept = state(bootstrapped.aws)
    bootstrapped.aws.s3.delete_object(**STATE)
    try:
        assert run(bootstrapped).refused(STATE["Bucket"], "does not contain bootstrap's state", "restore")
        assert states_on_disk(bootstrapped) == []
    finally:
        bootstrapped.aws.s3.put_object(**STATE, Body=kept)


@pytest.fixture(scope="module")
def second_run(bootstrapped: Account) -> dict[str, Any]:
    """A second run, after an image was baked and published."""
    bootstrapped.aws.ssm.put_parameter(Name=IMAGE, Value=BAKED, Type="String", Overwrite=True)
    before = {"state": state(bootstrapped.aws), "applies": applies(bootstrapped)}
    return {**before, "run": run(bootstrapped)}


def test_a_second_run_changes_nothing(bootstrapped: Account, second_run: dict[str, Any]) -> None:
    assert second_run["run"].status == 0, second_run["run"].err
    assert second_run["run"].json == bootstrapped.first_run.json
    assert applies(bootstrapped) == second_run["applies"], "Terraform applied although nothing had changed"
    assert state(bootstrapped.aws) == second_run["state"]
    assert states_on_disk(bootstrapped) == []


def test_a_published_image_is_never_overwritten(bootstrapped: Account, second_run: dict[str, Any]) -> None:
    assert published_image(bootstrapped.aws) == BAKED
    assert "stock image" not in second_run["run"].err


def test_a_run_interrupted_between_apply_and_migration_is_resumed(bootstrapped: Account) -> None:
    before = json.loads(state(bootstrapped.aws))
    local = sources(bootstrapped) / "bootstrap.tfstate"
    local.write_bytes(state(bootstrapped.aws))
    (sources(bootstrapped) / "backend_override.tf").write_text(
        'terraform {\n  backend "local" {\n    path = "bootstrap.tfstate"\n  }\n}\n'
    )
    bootstrapped.aws.s3.delete_object(**STATE)
    applied = applies(bootstrapped)

    done = run(bootstrapped)
    assert done.status == 0, done.err
    assert done.json == bootstrapped.first_run.json
    assert json.loads(state(bootstrapped.aws))["resources"] == before["resources"]
    assert applies(bootstrapped) == applied, "all resources existed already"
    assert states_on_disk(bootstrapped) == []


def test_state_copies_of_a_run_interrupted_after_the_migration_are_removed(bootstrapped: Account) -> None:
    for name in ("bootstrap.tfstate", "bootstrap.tfstate.backup"):
        (sources(bootstrapped) / name).write_bytes(state(bootstrapped.aws))
    done = run(bootstrapped)
    assert done.status == 0, done.err
    assert states_on_disk(bootstrapped) == []
