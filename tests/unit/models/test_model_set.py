"""A model set is uploaded complete and verified before the parameter names it to the instances."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from ollama_gpu.core import contract, paths
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import settings
from ollama_gpu.models import memory as model_memory
from ollama_gpu.models import model_set as models
from ollama_gpu.models import store as model_store
from ollama_gpu.models.memory import Serving
from ollama_gpu.models.model_set import Model, ModelSet
from tests.contexts import context_of
from tests.unit.models import gguf_files

CONTRACT = contract.load(paths.locate().contract)
LOCAL = settings.load(paths.locate(), "local")
DEV = settings.load(paths.locate(), "dev")
BUCKET = CONTRACT.artifact_bucket("123456789012", LOCAL.region)
PARAMETER = CONTRACT.parameter("models", "local")
SERVING = Serving(4, 2048)
WEIGHTS = gguf_files.llama()
GEMMA = "registry.ollama.ai/library/gemma3/270m"


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
    """A model store in Ollama's layout."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir()

    def add(self, path: str, *blobs: bytes) -> str:
        """Write a model at this path below manifests/: configuration, weights (default WEIGHTS) and other layers."""
        blobs = (blobs[0], blobs[1] if len(blobs) > 1 else WEIGHTS, *blobs[2:])
        kinds = [
            f"application/vnd.ollama.image.{kind}" for kind in ("config", "model", *("license" for _ in blobs[2:]))
        ]
        layers = [
            {"mediaType": kind, "digest": f"sha256:{digest(blob)}", "size": len(blob)}
            for kind, blob in zip(kinds, blobs, strict=True)
        ]
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
def model_set(aws: Aws, store: Store) -> ModelSet:
    """The model set of ENV=local with this store."""
    return ModelSet(context_of(LOCAL, CONTRACT, aws), SERVING, model_store.Store(store.root), lambda _: None)


@pytest.fixture
def publish(model_set: ModelSet) -> Publish:
    def run(*names: str, environment: settings.Environment = LOCAL) -> bool:
        return replace(model_set, context=replace(model_set.context, environment=environment)).publish(
            [models.parse(name) for name in names]
        )

    return run


def served(aws: Aws, environment: settings.Environment = LOCAL) -> list[tuple[str, str]] | None:
    """Return the names and digests of the published set."""
    found = models.published(context_of(environment, CONTRACT, aws))
    return None if found is None else [(model.name, model.digest) for model in found]


def keys(aws: Aws) -> set[str]:
    return {each["Key"] for each in aws.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])}


def uploads(aws: Aws) -> list[str]:
    """Return the keys of all uploads so far."""
    seen: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        seen.append(params["Key"])

    aws.s3.meta.events.register("before-parameter-build.s3.PutObject", note)
    aws.s3.meta.events.register("before-parameter-build.s3.CreateMultipartUpload", note)
    return seen


def test_bucket_has_ollamas_layout_and_parameter_has_the_digest(aws: Aws, store: Store, publish: Publish) -> None:
    found = store.add("registry.ollama.ai/library/gemma3/270m", b"{}", WEIGHTS)
    assert publish("gemma3:270m")
    assert keys(aws) == {
        "models/local/manifests/registry.ollama.ai/library/gemma3/270m",
        f"models/local/blobs/sha256-{digest(b'{}')}",
        f"models/local/blobs/sha256-{digest(WEIGHTS)}",
        f"models/local/blobs/{found.replace(':', '-')}",
        f"models/local/shapes/sha256-{digest(WEIGHTS)}.json",
    }
    weights = f"sha256:{digest(WEIGHTS)}"
    memory = model_memory.need(gguf_files.llama_shape("gemma3:270m", len(WEIGHTS)), SERVING).total
    (said,) = json.loads(aws.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"])["models"]
    assert said == {"name": "gemma3:270m", "digest": found, "weights": weights, "memory_bytes": memory}
    assert models.published(context_of(LOCAL, CONTRACT, aws)) == [Model("gemma3:270m", found, weights, memory)]


def test_publishing_the_same_again_uploads_nothing(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", WEIGHTS)
    publish("gemma3:270m")
    again = uploads(aws)
    assert not publish("gemma3:270m")
    assert again == []


def test_new_digest_uploads_only_new_blobs(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", WEIGHTS)
    publish("gemma3:270m")
    new = store.add("registry.ollama.ai/library/gemma3/270m", b"{}", WEIGHTS, b"template")
    sent = uploads(aws)
    assert publish(f"gemma3:270m@{new}")
    assert sent == [
        f"models/local/blobs/sha256-{digest(b'template')}",
        f"models/local/blobs/{new.replace(':', '-')}",
        "models/local/manifests/registry.ollama.ai/library/gemma3/270m",
    ]


def test_partially_uploaded_file_is_uploaded_again(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", WEIGHTS)
    key = f"models/local/blobs/sha256-{digest(WEIGHTS)}"
    aws.s3.put_object(Bucket=BUCKET, Key=key, Body=WEIGHTS[:3])
    publish("gemma3:270m")
    assert aws.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == WEIGHTS


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("gemma3", "registry.ollama.ai/library/gemma3/latest"),
        ("people/model:tag", "registry.ollama.ai/people/model/tag"),
        ("host.example/people/model:tag", "host.example/people/model/tag"),
    ],
)
def test_model_name_is_parsed_as_in_ollama(aws: Aws, store: Store, publish: Publish, name: str, path: str) -> None:
    store.add(path, b"{}")
    publish(name)
    assert f"models/local/manifests/{path}" in keys(aws)


@pytest.mark.parametrize("name", ["", "a b", "../../etc/passwd", "a:b:c", "/x"])
def test_invalid_name_is_an_error(publish: Publish, name: str) -> None:
    with pytest.raises(UserError, match="is not a valid model name"):
        publish(name)


def test_error_for_missing_model_lists_the_models_of_the_store(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    store.add("registry.ollama.ai/people/other/1b", b"{}")
    with pytest.raises(UserError, match=r"gemma3:4b is not in the store .*, which has gemma3:270m, people/other:1b"):
        publish("gemma3:4b")
    assert keys(aws) == set()


def test_digest_mismatch_is_an_error(aws: Aws, store: Store, publish: Publish) -> None:
    found = store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    with pytest.raises(UserError, match=f"has the digest {found}, not sha256:{'0' * 64}"):
        publish(f"gemma3:270m@sha256:{'0' * 64}")
    assert models.published(context_of(LOCAL, CONTRACT, aws)) is None


@pytest.mark.parametrize("damage", [WEIGHTS[:-1] + b"!", WEIGHTS[:-1], None])
def test_damaged_or_missing_blob_is_never_published(
    aws: Aws, store: Store, publish: Publish, damage: bytes | None
) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", WEIGHTS)
    if damage is None:
        store.blob(WEIGHTS).unlink()
    else:
        store.blob(WEIGHTS).write_bytes(damage)
    with pytest.raises(UserError, match=r"is damaged|is incomplete"):
        publish("gemma3:270m")
    assert not any("manifests" in key for key in keys(aws))
    assert models.published(context_of(LOCAL, CONTRACT, aws)) is None


def test_duplicate_model_is_an_error(store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    with pytest.raises(UserError, match="named twice"):
        publish("gemma3:270m", "gemma3:270m")


def test_error_for_missing_bucket_suggests_bootstrap(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    aws.s3.delete_bucket(Bucket=BUCKET)
    with pytest.raises(UserError, match="does not exist") as raised:
        publish("gemma3:270m")
    assert raised.value.remedy == "Create it with: make bootstrap ENV=local"


def test_environments_have_separate_digests_under_the_same_name(aws: Aws, store: Store, publish: Publish) -> None:
    old = store.add("registry.ollama.ai/library/gemma3/270m", b"{}")
    publish("gemma3:270m")
    new = store.add("registry.ollama.ai/library/gemma3/270m", b"{}", gguf_files.llama(b"new"))
    publish("gemma3:270m", environment=DEV)
    assert served(aws) == [("gemma3:270m", old)]
    assert served(aws, DEV) == [("gemma3:270m", new)]
    key = "models/local/manifests/registry.ollama.ai/library/gemma3/270m"
    assert f"sha256:{digest(aws.s3.get_object(Bucket=BUCKET, Key=key)['Body'].read())}" == old


def test_added_model_keeps_the_served_models(aws: Aws, store: Store, publish: Publish, model_set: ModelSet) -> None:
    first = store.add(GEMMA, b"{}")
    publish("gemma3:270m")
    second = store.add("registry.ollama.ai/library/other/1b", b"{}", gguf_files.llama(b"other"))
    assert model_set.add(models.parse("other:1b"))
    assert served(aws) == [("gemma3:270m", first), ("other:1b", second)]
    assert not model_set.add(models.parse("other:1b"))
    assert not model_set.add(models.parse(f"other:1b@{second}"))


def test_served_models_need_not_be_on_this_machine(
    aws: Aws, store: Store, publish: Publish, model_set: ModelSet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first = store.add(GEMMA, b"{}")
    publish("gemma3:270m")
    elsewhere = Store(tmp_path_factory.mktemp("elsewhere"))
    second = elsewhere.add("registry.ollama.ai/library/other/1b", b"{}", gguf_files.llama(b"other"))
    replace(model_set, store=model_store.Store(elsewhere.root)).add(models.parse("other:1b"))
    assert served(aws) == [("gemma3:270m", first), ("other:1b", second)]


def test_another_digest_of_a_served_model_must_be_pinned(store: Store, publish: Publish, model_set: ModelSet) -> None:
    store.add(GEMMA, b"{}")
    publish("gemma3:270m")
    with pytest.raises(UserError, match="is already served") as raised:
        model_set.add(models.parse(f"gemma3:270m@sha256:{'0' * 64}"))
    assert f"models pin gemma3:270m@sha256:{'0' * 64} --env local" in raised.value.remedy


def test_removed_model_can_be_added_again_by_digest(
    aws: Aws, store: Store, publish: Publish, model_set: ModelSet
) -> None:
    store.add(GEMMA, b"{}")
    other = store.add("registry.ollama.ai/library/other/1b", b"{}", gguf_files.llama(b"other"))
    publish("gemma3:270m", "other:1b")
    gone = model_set.remove("other:1b")
    assert gone.digest == other
    assert [name for name, _ in served(aws) or []] == ["gemma3:270m"]
    (store.root / "manifests/registry.ollama.ai/library/other/1b").unlink()
    assert model_set.add(models.parse(f"other:1b@{other}"))
    assert ("other:1b", other) in (served(aws) or [])


def test_earlier_digest_can_be_pinned_without_this_machines_store(
    aws: Aws, store: Store, publish: Publish, model_set: ModelSet
) -> None:
    old = store.add(GEMMA, b"{}")
    publish("gemma3:270m")
    new = store.add(GEMMA, b"{}", gguf_files.llama(b"newer"))
    assert model_set.pin(models.parse("gemma3:270m")), "without a digest: what this machine has now"
    assert served(aws) == [("gemma3:270m", new)]
    assert model_set.pin(models.parse(f"gemma3:270m@{old}"))
    assert served(aws) == [("gemma3:270m", old)]
    key = f"models/local/manifests/{GEMMA}"
    assert f"sha256:{digest(aws.s3.get_object(Bucket=BUCKET, Key=key)['Body'].read())}" == old


@pytest.mark.parametrize("verb", ["remove", "pin"])
def test_model_that_is_not_served_can_be_neither_removed_nor_pinned(
    store: Store, publish: Publish, model_set: ModelSet, verb: str
) -> None:
    store.add(GEMMA, b"{}")
    publish("gemma3:270m")
    with pytest.raises(UserError, match=r"other:1b is not served: the set of local has gemma3:270m"):
        model_set.remove("other:1b") if verb == "remove" else model_set.pin({"name": "other:1b"})


def test_last_chat_model_cannot_be_removed(aws: Aws, store: Store, publish: Publish, model_set: ModelSet) -> None:
    store.add(GEMMA, b"{}")
    store.add("registry.ollama.ai/library/embedder/1b", b"{}", gguf_files.llama(embeds=True))
    publish("gemma3:270m", "embedder:1b")
    with pytest.raises(UserError, match="gemma3:270m is the last chat model"):
        model_set.remove("gemma3:270m")
    assert model_set.remove("embedder:1b").embeds


def test_set_that_does_not_fit_a_gpu_is_rejected_with_the_sum_before_any_upload(
    aws: Aws, store: Store, model_set: ModelSet
) -> None:
    store.add(GEMMA, b"{}", gguf_files.llama(layers=64))
    large = replace(model_set, serving=Serving(64, 4096))
    with pytest.raises(UserError, match=r"do not fit a GPU of g4dn\.xlarge \(T4, 15\.00 GiB\)") as raised:
        large.publish([models.parse("gemma3:270m")])
    assert "KV cache 32.00 GiB (64 slots x 4096 tokens, f16)" in raised.value.message
    assert "ollama_num_parallel" in raised.value.remedy
    assert (keys(aws), served(aws)) == (set(), None)


def test_two_names_of_the_same_weights_count_once(aws: Aws, store: Store, model_set: ModelSet) -> None:
    store.add(GEMMA, b"{}")
    store.add("registry.ollama.ai/library/copy/1b", b'{"copy": 1}')
    model_set.publish([models.parse("gemma3:270m"), models.parse("copy:1b")])
    (need,) = models.weigh(context_of(LOCAL, CONTRACT, aws), SERVING).values()
    assert need == replace(model_memory.need(gguf_files.llama_shape("copy:1b", len(WEIGHTS)), SERVING), name=need.name)


def test_memory_of_served_models_follows_the_slots(aws: Aws, store: Store, publish: Publish) -> None:
    store.add(GEMMA, b"{}")
    publish("gemma3:270m")
    (few,), (many,) = (
        models.weigh(context_of(LOCAL, CONTRACT, aws), Serving(slots, 2048)).values() for slots in (1, 8)
    )
    assert many.kv_cache == 8 * few.kv_cache


def test_weights_that_are_not_gguf_are_an_error(aws: Aws, store: Store, publish: Publish) -> None:
    store.add(GEMMA, b"{}", b"safetensors")
    with pytest.raises(UserError, match=r"memory of gemma3:270m .* does not begin with GGUF"):
        publish("gemma3:270m")
    assert keys(aws) == set()


@pytest.mark.parametrize("digest", ["", "sha256:12", "latest"])
def test_invalid_digest_is_an_error(digest: str) -> None:
    with pytest.raises(UserError, match="is not a valid model digest") as raised:
        models.parse(f"gemma3:4b@{digest}")
    assert raised.value.status == 2


def test_set_without_the_embedding_model_is_rejected_before_any_upload(
    aws: Aws, store: Store, model_set: ModelSet
) -> None:
    store.add(GEMMA, b"{}")
    needy = replace(model_set, embedder="embedder:1b")
    with pytest.raises(UserError, match=r"embedder:1b.*is not in this set"):
        needy.publish([models.parse("gemma3:270m")])
    assert (keys(aws), served(aws)) == (set(), None)
    store.add("registry.ollama.ai/library/embedder/1b", b"{}", gguf_files.llama(embeds=True))
    assert needy.publish([models.parse("gemma3:270m"), models.parse("embedder:1b")])
    with pytest.raises(UserError, match=r"embedder:1b.*is not in this set"):
        needy.remove("embedder:1b")


def test_default_set_is_the_variable_models(model_set: ModelSet) -> None:
    in_dev = replace(model_set, context=replace(model_set.context, environment=DEV))
    assert in_dev.default == ["gemma3:4b", "nomic-embed-text"]
    with pytest.raises(UserError, match="No models are configured for ENV=local"):
        _ = model_set.default


def test_unpublish_removes_only_the_models_of_the_environment(aws: Aws, store: Store, publish: Publish) -> None:
    store.add("registry.ollama.ai/library/gemma3/270m", b"{}", WEIGHTS)
    publish("gemma3:270m")
    publish("gemma3:270m", environment=DEV)
    aws.s3.put_object(Bucket=BUCKET, Key="releases/one", Body=b"")
    models.unpublish(context_of(LOCAL, CONTRACT, aws))
    assert models.published(context_of(LOCAL, CONTRACT, aws)) is None
    assert models.published(context_of(DEV, CONTRACT, aws)) is not None
    versions = aws.s3.list_object_versions(Bucket=BUCKET)
    left = {each["Key"] for each in [*versions.get("Versions", []), *versions.get("DeleteMarkers", [])]}
    assert left
    assert not any(key.startswith("models/local/") for key in left)
    assert "releases/one" in left


def test_unpublish_without_a_published_set_succeeds(aws: Aws) -> None:
    aws.s3.delete_bucket(Bucket=BUCKET)
    models.unpublish(context_of(LOCAL, CONTRACT, aws))
    with pytest.raises(ClientError):
        aws.s3.head_bucket(Bucket=BUCKET)


def test_default_store_is_the_one_of_ollama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    (tmp_path / ".ollama" / "models").mkdir(parents=True)
    assert model_store.default_folder() == tmp_path / ".ollama" / "models"
    monkeypatch.setenv("OLLAMA_MODELS", "/elsewhere")
    assert model_store.default_folder() == Path("/elsewhere")
