"""Failures of the S3 backend, produced with moto: no bucket, no credentials, a locked state, no server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ollama_gpu.core.errors import UserError
from ollama_gpu.terraform.adapter import Terraform
from ollama_gpu.terraform.progress import NoProgress

REGION = "us-east-1"
LOCK_ID = "4a37f7df-0ab6-17a5-e9e1-0e1d6c2ba2ab"
LOCK = {
    "ID": LOCK_ID,
    "Operation": "OperationTypeApply",
    "Info": "",
    "Who": "ann@laptop",
    "Version": "1.11.4",
    "Created": "2026-11-23T00:45:09.6Z",
    "Path": "state/key",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str) -> str:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket="state")
    client.put_object(Bucket="state", Key="key.tflock", Body=json.dumps(LOCK).encode())
    return "state"


@pytest.fixture(autouse=True)
def shell_without_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


def terraform(root: Path, endpoint: str, **environment: str) -> Terraform:
    (root / "main.tf").write_text('terraform {\n  backend "s3" {\n    use_lockfile = true\n  }\n}\n')
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        **environment,
    }
    return Terraform(root, root / "data", root / "logs", settings, NoProgress(), "dev")


KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def backend(bucket: str) -> dict[str, str]:
    return {"bucket": bucket, "key": "key", "region": REGION, "max_retries": "0"}


def test_missing_credentials_are_reported(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(UserError, match="no AWS credentials for dev"):
        terraform(tmp_path, endpoint).init(backend("state"))


def test_missing_bucket_has_bootstrap_as_remedy(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(UserError, match=r"bucket nothing-here does not exist\.\n.*make bootstrap ENV=dev"):
        terraform(tmp_path, endpoint, **KEYS).init(backend("nothing-here"))


def test_unreachable_endpoint_is_named_in_the_error(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but not listening
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"not reachable at {address}: connection refused"):
            terraform(tmp_path, address, **KEYS).init(backend("state"))


def test_locked_state_names_the_holder_and_is_unlocked_only_by_lock_id(
    tmp_path: Path, endpoint: str, bucket: str
) -> None:
    this = terraform(tmp_path, endpoint, **KEYS)
    this.init(backend(bucket))
    with pytest.raises(UserError, match=rf"locked by ann@laptop: apply.*\n.*LOCK={LOCK_ID}"):
        this.plan(tmp_path / "plan", [])
    with pytest.raises(UserError, match="locked by ann@laptop"):
        this.force_unlock("another")
    this.force_unlock(LOCK_ID)
    assert not this.plan(tmp_path / "plan", []).changes
    with pytest.raises(UserError, match="The state of dev is not locked"):
        this.force_unlock(LOCK_ID)
