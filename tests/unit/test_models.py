"""A model set goes to the artifact bucket whole and verified, and only then is named to the instances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from ollama_gpu import contract, environments, models, paths
from ollama_gpu.aws import Aws
from ollama_gpu.errors import UserError
from ollama_gpu.models import Model

CONTRACT = contract.load(paths.locate().contract)
LOCAL = environments.load(paths.locate(), "local")
DEV = environments.load(paths.locate(), "dev")
BUCKET = CONTRACT.artifact_bucket("123456789012", LOCAL.region)
PARAMETER = CONTRACT.parameter("models", "local")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        account = Aws(LOCAL.region)
        account.s3.create_bucket(Bucket=BUCKET)
        account.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        yield account


class Store:
    """A folder of Ollama's layout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir()

    def add(self, path: str, *blobs: bytes) -> str:
        """A model at this path below manifests/, its first blob the configuration; returns its digest."""
        layers = [{"digest": f"sha256:{digest(blob)}", "size": len(blob)} for blob in blobs]
        for blob in blobs:
            self.blob(blob).write_bytes(blob)
        manifest = self.root / "manifests" / path
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"config": layers[0], "layers": layers[1:]}))
        return f"sha256:{digest(manifest.read_bytes())}"

    def blob(self, content: bytes) -> Path:
        return self.root / "blobs" / f"sha256-{digest(content)}"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


Publish = Callable[..., bool]


@pytest.fixture
def publish(aws: Aws, store: Store) -> Publish:
    def run(*names: str, environment: environments.Environment = LOCAL) -> bool:
        wanted = [models.parse(name) for name in names]
        return models.publish(environment, CONTRACT, aws, store.root, wanted, said.append)

    said: list[str] = []
    return run


def keys(aws: Aws) -> set[str]:
    return {each["Key"] for each in aws.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def uploads(aws: Aws) -> list[str]:
    """Keys of every upload so far, as the bucket sees them."""
    seen: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        seen.append(params["Key"])

    aws.s3.meta.events.register("before-parameter-build.s3.PutObject", note)
    aws.s3.meta.events.register("before-parameter-build.s3.CreateMultipartUpload", note)
    return seen


def test_the_bucket_gets_ollamas_layout_and_the_parameter_its_digest(aws: Aws, store: Store, publish: Publish) -> None:
    found = store.add("registry.ollama.ai/library/gemma3/270m", b"{}", b"weights")
    assert publish("gemma3:270m")
    assert keys(aws) == {
        "models/local/manifests/registry.ollama.ai/library/gemma3/270m",
        f"models/local/blobs/sha256-{digest(b'{}')}",
        f"models/local/blobs/sha256-{digest(b'weights')}",
    }
    value = aws.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"]
    assert json.loads(value) == {"models": [{"name": "gemma3:270m", "digest": found}]}
    assert models.published(LOCAL, CONTRACT, aws) == [Model("gemma3:270m", found)]


def test_publishing_the_same_again_uploads_nothing(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", b"weights")
    publish("gemma3:270m")
    again = uploads(aws)
    assert not publish("gemma3:270m")
    assert again == []


def test_a_new_digest_uploads_only_what_is_new(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", b"weights")
    publish("gemma3:270m")
    new = store.add("registry.ollama.ai/library/gemma3/270m", b"{}", b"weights", b"template")
    sent = uploads(aws)
    assert publish(f"gemma3:270m@{new}")
    assert sent == [
        f"models/local/blobs/sha256-{digest(b'template')}",
        "models/local/manifests/registry.ollama.ai/library/gemma3/270m",
    ]


def test_a_half_uploaded_file_is_uploaded_again(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", b"weights")
    key = f"models/local/blobs/sha256-{digest(b'weights')}"
    aws.s3.put_object(Bucket=BUCKET, Key=key, Body=b"wei")
    publish("gemma3:270m")
    assert aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == b"weights"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gemma3", "registry.ollama.ai/library/gemma3/latest"),
        ("people/model:tag", "registry.ollama.ai/people/model/tag"),
        ("host.example/people/model:tag", "host.example/people/model/tag"),
    ],
)
def test_a_name_is_read_as_ollama_does(aws: Aws, store: Store, publish: Publish, name: str, path: str) -> None:
    store.add(path, b"{}")
    publish(name)
    assert f"models/local/manifests/{path}" in keys(aws)


@pytest.mark.parametrize("name", ["", "a b", "../../etc/passwd", "a:b:c", "/x"])
def test_a_name_that_is_none_is_refused(publish: Publish, name: str) -> None:
    with pytest.raises(UserError, match="no model's name"):
        publish(name)


def test_a_model_that_the_store_lacks_is_named_with_what_it_has(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    store.add("registry.ollama.ai/people/other/1b", b"{}", b"x")
    with pytest.raises(UserError, match=r"gemma3:4b is not in the store .*, which has gemma3:270m, people/other:1b"):
        publish("gemma3:4b")
    assert keys(aws) == set()


def test_another_digest_than_wanted_is_refused(aws: Aws, store: Store, publish: Publish) -> None:
    found = store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    with pytest.raises(UserError, match=f"is {found}, wanted is sha256:{'0' * 64}"):
        publish(f"gemma3:270m@sha256:{'0' * 64}")
    assert models.published(LOCAL, CONTRACT, aws) is None


@pytest.mark.parametrize("damage", [b"weighty", b"weight", None])
def test_a_damaged_or_missing_blob_is_never_published(
    aws: Aws, store: Store, publish: Publish, damage: bytes | None
) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", b"weights")
    if damage is None:
        store.blob(b"weights").unlink()
    else:
        store.blob(b"weights").write_bytes(damage)
    with pytest.raises(UserError, match=r"is damaged|is not whole"):
        publish("gemma3:270m")
    assert not any("manifests" in key for key in keys(aws))
    assert models.published(LOCAL, CONTRACT, aws) is None


def test_a_model_named_twice_is_refused(store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    with pytest.raises(UserError, match="named twice"):
        publish("gemma3:270m", "gemma3:270m")


def test_a_missing_bucket_is_made_by_bootstrap(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    aws.s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(UserError, match="does not exist") as raised:
        publish("gemma3:270m")
    assert raised.value.remedy == "Make it with: make bootstrap ENV=local"


def test_two_environments_keep_digests_of_their_own_under_one_name(aws: Aws, store: Store, publish: Publish) -> None:
    old = store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    publish("gemma3:270m")
    new = store.add("registry.ollama.ai/library/gemma3/270m", b"{}", b"new")
    publish("gemma3:270m", environment=DEV)
    assert models.published(LOCAL, CONTRACT, aws) == [Model("gemma3:270m", old)]
    assert models.published(DEV, CONTRACT, aws) == [Model("gemma3:270m", new)]
    key = "models/local/manifests/registry.ollama.ai/library/gemma3/270m"
    assert f"sha256:{digest(aws.s3.get_object(Bucket=BUCKET, Key=key)['Body'].read())}" == old


def test_forgetting_removes_this_environments_models_and_no_others(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", b"weights")
    publish("gemma3:270m")
    publish("gemma3:270m", environment=DEV)
    aws.s3.put_object(Bucket=BUCKET, Key="releases/one", Body=b"")
    models.forget(LOCAL, CONTRACT, aws)
    assert models.published(LOCAL, CONTRACT, aws) is None
    assert models.published(DEV, CONTRACT, aws) is not None
    versions = aws.s3.list_object_versions(Bucket=BUCKET)
    left = {each["Key"] for each in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]}
    assert left
    assert not any(key.startswith("models/local/") for key in left)
    assert "releases/one" in left


def test_forgetting_where_nothing_was_ever_published_is_no_error(aws: Aws) -> None:
    aws.s3.delete_bucket(Bucket=BUCKET)
    models.forget(LOCAL, CONTRACT, aws)
    with pytest.raises(ClientError):
        aws.s3.head_bucket(Bucket=BUCKET)


def test_the_stores_place_is_ollamas_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    (tmp_path / ".ollama" / "models").mkdir(parents=True)
    assert models.default_store() == tmp_path / ".ollama" / "models"
    monkeypatch.setenv("OLLAMA_MODELS", "/elsewhere")
    assert models.default_store() == Path("/elsewhere")
