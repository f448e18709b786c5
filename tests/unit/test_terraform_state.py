"""The S3 backend's failures, provoked on moto: no bucket, no credentials, a held lock, nobody at the address."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from ollama_gpu.errors import UserError
from ollama_gpu.progress import NoProgress
from ollama_gpu.terraform.adapter import Terraform

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
def nobodys_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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


def test_no_credentials(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(UserError, match="no AWS credentials for dev"):
        terraform(tmp_path, endpoint).init(backend("state"))


def test_a_missing_bucket_offers_bootstrap(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises(UserError, match=r"bucket nothing-here does not exist\.\n.*make bootstrap ENV=dev"):
        terraform(tmp_path, endpoint, **KEYS).init(backend("nothing-here"))


def test_nobody_at_the_address_is_told_with_the_address(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and not listened on
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"cannot be reached at {address}: connection refused"):
            terraform(tmp_path, address, **KEYS).init(backend("state"))


def test_a_held_lock_names_its_holder_and_is_released_by_its_id_only(
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
