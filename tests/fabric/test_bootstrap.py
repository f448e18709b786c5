"""`ollama-gpu bootstrap`: what an account gets once, whose state ends up in the bucket that it makes. In this order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu import contract, images
from ollama_gpu.aws import Aws
from ollama_gpu.paths import locate
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
    """Terraform's records of resources; its own file `terraform.tfstate` in TF_DATA_DIR only names the backend."""
    folder = account.driver.work / "bootstrap"
    return [path for path in folder.rglob("*tfstate*") if path.parent.name != "terraform" or "resources" in text(path)]


def text(path: Path) -> str:
    return path.read_text(errors="replace")


def applies(account: Account) -> int:
    return len(list((account.driver.work / "bootstrap").rglob("*-apply.jsonl")))


def sources(account: Account) -> Path:
    """Where bootstrap's Terraform runs: a copy of the sources in the working folder."""
    (file,) = (account.driver.work / "bootstrap").rglob("state_bucket.tf")
    return file.parent


def test_its_outputs_name_what_it_made(bootstrapped: Account) -> None:
    outputs = bootstrapped.first_run.json
    assert outputs["state_bucket"] == STATE["Bucket"]
    assert outputs["artifact_bucket"] == AGREED.artifact_bucket(ACCOUNT, REGION)
    buckets = {bucket["Name"] for bucket in bootstrapped.aws.s3.list_buckets()["Buckets"]}
    assert {outputs["state_bucket"], outputs["artifact_bucket"]} <= buckets


def test_its_state_lies_in_the_bucket_that_it_made_and_not_on_disk(bootstrapped: Account) -> None:
    types = {resource["type"] for resource in json.loads(state(bootstrapped.aws))["resources"]}
    assert {"aws_s3_bucket", "aws_kms_key", "aws_iam_role"} <= types
    assert states_on_disk(bootstrapped) == []
    assert not (sources(bootstrapped) / "backend_override.tf").exists()


def test_the_committed_tree_is_left_as_it_was(bootstrapped: Account) -> None:
    committed = locate().terraform / "bootstrap"
    strays = [path.name for path in committed.rglob("*") if "tfstate" in path.name or "override" in path.name]
    assert strays == []
    assert not (committed / ".terraform").exists()


def test_an_environment_without_a_baked_image_starts_from_the_stock_image(bootstrapped: Account) -> None:
    stock = bootstrapped.aws.ssm.get_parameter(Name=images.STOCK_PARAMETER)["Parameter"]["Value"]
    assert published_image(bootstrapped.aws) == stock
    assert stock in bootstrapped.first_run.err


def test_a_bucket_that_exists_without_a_state_is_refused_and_left_alone(bootstrapped: Account) -> None:
    kept = state(bootstrapped.aws)
    bootstrapped.aws.s3.delete_object(**STATE)
    try:
        assert run(bootstrapped).refused(STATE["Bucket"], "holds no state of bootstrap", "restore")
        assert states_on_disk(bootstrapped) == []
    finally:
        bootstrapped.aws.s3.put_object(**STATE, Body=kept)


@pytest.fixture(scope="module")
def second_run(bootstrapped: Account) -> dict[str, Any]:
    """Run again, after somebody baked an image and published it."""
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


def test_a_run_that_ended_between_apply_and_migration_goes_on(bootstrapped: Account) -> None:
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
    assert applies(bootstrapped) == applied, "everything had been made already"
    assert states_on_disk(bootstrapped) == []


def test_a_run_that_ended_right_after_the_migration_leaves_no_copy_for_ever(bootstrapped: Account) -> None:
    for name in ("bootstrap.tfstate", "bootstrap.tfstate.backup"):
        (sources(bootstrapped) / name).write_bytes(state(bootstrapped.aws))
    done = run(bootstrapped)
    assert done.status == 0, done.err
    assert states_on_disk(bootstrapped) == []
