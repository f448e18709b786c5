"""The model set of an environment: a copy of Ollama's own store in the artifact bucket, and the parameter naming it.

Each environment has a copy of its own, for a manifest lies under the model's name: shared, a new digest of `gemma3:4b`
in dev would take the old one away from the instances of prod.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of, delete_parameter, parameter, put_parameter
from ollama_gpu.console import note
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError

PROGRESS_SECONDS = 10.0
MIB = 1 << 20
_GIB = 1 << 30
# S3 takes 10,000 parts of a file: of 64 MiB each they hold 625 GiB, more than any model.
_PARTS = TransferConfig(multipart_threshold=64 * MIB, multipart_chunksize=64 * MIB)
# Where Ollama's installer makes its service keep models; a person's own lie in ~/.ollama/models.
_SERVICE_STORE = Path("/usr/share/ollama/.ollama/models")

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_NAME = re.compile(
    rf"(?:(?:(?P<host>[A-Za-z0-9_][A-Za-z0-9_.:-]*)/)?(?P<namespace>{_PART})/)?(?P<model>{_PART})(?::(?P<tag>{_PART}))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Model:
    """A model by name and digest, the sha256 of its manifest (its first 12 digits are the ID of `ollama list`)."""

    name: str
    digest: str


@dataclass(frozen=True)
class _Blob:
    digest: str
    size: int

    @property
    def file(self) -> str:
        return f"blobs/{self.digest.replace(':', '-')}"


def default_store() -> Path:
    """The store of this machine's Ollama: OLLAMA_MODELS, the user's own, or that of the service."""
    if named := os.environ.get("OLLAMA_MODELS"):
        return Path(named)
    own = Path.home() / ".ollama" / "models"
    return own if own.is_dir() or not _SERVICE_STORE.is_dir() else _SERVICE_STORE


def parse(text: str) -> dict[str, str]:
    """NAME or NAME@sha256:HEX, as `publish` takes it."""
    name, at, digest = text.partition("@")
    return {"name": name, "digest": digest} if at else {"name": name}


def published(environment: Environment, contract: Contract, aws: Aws) -> list[Model] | None:
    """The environment's model set; None when none was ever published."""
    value = parameter(aws, contract.parameter("models", environment.name))
    if value is None:
        return None
    return [Model(each["name"], each["digest"]) for each in json.loads(value)["models"]]


def publish(
    environment: Environment,
    contract: Contract,
    aws: Aws,
    store: Path | None,
    models: Sequence[Mapping[str, str]],
    say: Callable[[str], None] = note,
) -> bool:
    """Make ``models`` the environment's whole model set: each a ``name`` and, to insist on one, a ``digest``.

    ``store`` is a folder of Ollama's layout (manifests/, blobs/), this machine's own when None. What the bucket has is
    not uploaded again; every file is verified before it goes, and the parameter comes last: whoever reads it finds the
    models there. False when exactly this was published already. Raises UserError for a model or a blob that the store
    lacks or has otherwise, and for a bucket that does not exist; instances then keep the set that they have.
    """
    folder = store or default_store()
    read = [_read(folder, wanted) for wanted in models]
    if len({model.name for model, _, _, _ in read}) != len(read):
        raise UserError("A model is named twice.", "Name each model once: a set has one digest of it.")
    bucket = Bucket(contract.artifact_bucket(aws.identity.account, environment.region), environment, contract, aws)
    try:
        for model, path, manifest, blobs in read:
            bucket.upload(model, folder, path, manifest, blobs, say)
    except ClientError as error:
        if code_of(error) in ("NoSuchBucket", "404"):
            raise UserError(
                f"The artifact bucket {bucket.name} does not exist.",
                f"Make it with: make bootstrap ENV={environment.name}",
            ) from error
        raise
    value = json.dumps({"models": [asdict(model) for model, _, _, _ in read]})
    name = contract.parameter("models", environment.name)
    if parameter(aws, name) == value:
        return False
    tags = contract.driver_tags(environment.name)
    put_parameter(aws, name, value, "The models that instances serve: name and digest", tags)
    return True


def forget(environment: Environment, contract: Contract, aws: Aws) -> None:
    """Remove the parameter and the environment's copy of the store."""
    delete_parameter(aws, contract.parameter("models", environment.name))
    bucket = Bucket(contract.artifact_bucket(aws.identity.account, environment.region), environment, contract, aws)
    try:
        bucket.empty()
    except ClientError as error:
        if code_of(error) != "NoSuchBucket":  # the account was never bootstrapped: nothing was published
            raise


class Bucket:
    """The environment's folder of models in the artifact bucket."""

    def __init__(self, name: str, environment: Environment, contract: Contract, aws: Aws) -> None:
        self.name = name
        self._pattern = contract.artifacts["models"].replace("{environment}", environment.name)
        self._s3 = aws.s3

    def upload(
        self, model: Model, folder: Path, path: str, manifest: bytes, blobs: Sequence[_Blob], say: Callable[[str], None]
    ) -> None:
        """Bring a model here: its blobs, then its manifest, so that a model which can be found is whole."""
        missing = [blob for blob in blobs if self._size(blob.file) != blob.size]
        progress = Progress(model.name, sum(blob.size for blob in missing), say)
        for blob in missing:
            _verify(folder, blob, model.name)
            self._s3.upload_file(
                str(folder / blob.file), self.name, self._key(blob.file), Config=_PARTS, Callback=progress.add
            )
            if self._size(blob.file) != blob.size:
                raise UserError(
                    f"s3://{self.name}/{self._key(blob.file)} is not {blob.size} bytes long after its upload.",
                    "Leave the store alone meanwhile and publish again.",
                )
        if missing or self._digest(path) != model.digest:
            self._s3.put_object(Bucket=self.name, Key=self._key(path), Body=manifest)
            say(f"models: {model.name} is in s3://{self.name}, {model.digest[:19]}")

    def empty(self) -> None:
        """Remove every model file, and every earlier version of one, for the bucket keeps versions."""
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=self._key("")):
            versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            found: list[Any] = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions]
            if found:
                refused = self._s3.delete_objects(Bucket=self.name, Delete={"Objects": found, "Quiet": True})
                if errors := refused.get("Errors"):
                    first = errors[0]
                    raise UserError(
                        f"s3://{self.name}/{first.get('Key')} cannot be removed: {first.get('Message')}.",
                        "Allow s3:DeleteObjectVersion there and destroy again.",
                    )

    def _key(self, file: str) -> str:
        return self._pattern.replace("{file}", file)

    def _size(self, file: str) -> int | None:
        try:
            return self._s3.head_object(Bucket=self.name, Key=self._key(file))["ContentLength"]
        except ClientError as error:
            if code_of(error) == "404":  # the file or the bucket: the upload tells them apart
                return None
            raise

    def _digest(self, path: str) -> str | None:
        try:
            content = self._s3.get_object(Bucket=self.name, Key=self._key(path))["Body"].read()
        except ClientError as error:
            if code_of(error) == "NoSuchKey":
                return None
            raise
        return _sha256(content)


class Progress:
    """A line now and then while files go up; boto3 calls it from several threads."""

    def __init__(self, name: str, total: int, say: Callable[[str], None]) -> None:
        self._name, self._total, self._say = name, total, say
        self._done, self._told = 0, time.monotonic()
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            if time.monotonic() - self._told < PROGRESS_SECONDS:
                return
            self._told = time.monotonic()
            done, total = self._done / _GIB, self._total / _GIB
            self._say(f"models: {self._name}: {done:.1f} of {total:.1f} GiB uploaded")


def _read(folder: Path, wanted: Mapping[str, str]) -> tuple[Model, str, bytes, list[_Blob]]:
    """A model of a store, its manifest's path and bytes, and its blobs; every blob is there with the right size."""
    name = wanted["name"]
    path = _manifest(name)
    try:
        manifest = (folder / path).read_bytes()
    except FileNotFoundError as error:
        have = ", ".join(sorted(_names(folder))) or "no model"
        raise UserError(
            f"{name} is not in the store {folder}, which has {have}.",
            f"Fetch it there with `ollama pull {name}`, or name another folder with --store.",
        ) from error
    except OSError as error:
        raise UserError(
            f"{folder / path} cannot be read: {error.strerror}.", "Run this as a user that may read the store."
        ) from error
    model = Model(name, _sha256(manifest))
    if wanted.get("digest", model.digest) != model.digest:
        raise UserError(
            f"{name} in the store {folder} is {model.digest}, wanted is {wanted['digest']}.",
            f"Fetch the wanted one with `ollama pull {name}`, or publish the name without a digest to take this one.",
        )
    blobs = _blobs(manifest, name)
    for blob in blobs:
        file = folder / blob.file
        if not file.is_file() or file.stat().st_size != blob.size:
            raise UserError(
                f"{name} is not whole in the store {folder}: {blob.file} is missing or not {blob.size} bytes long.",
                f"Fetch it again with `ollama pull {name}`.",
            )
    return model, path, manifest, blobs


def _manifest(name: str) -> str:
    match = _NAME.fullmatch(name)
    if match is None or ".." in name:
        raise UserError(f"`{name}` is no model's name.", "Write it as Ollama does, such as gemma3:4b.", status=2)
    host, namespace = match["host"] or "registry.ollama.ai", match["namespace"] or "library"
    return f"manifests/{host}/{namespace}/{match['model']}/{match['tag'] or 'latest'}"


def _blobs(manifest: bytes, name: str) -> list[_Blob]:
    try:
        content = json.loads(manifest)
        blobs = [_Blob(layer["digest"], int(layer["size"])) for layer in [content["config"], *content["layers"]]]
        if not all(_DIGEST.fullmatch(blob.digest) for blob in blobs):
            raise ValueError("a digest that is none")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"The manifest of {name} is not one of Ollama's: {error!r}.", f"Fetch it again with `ollama pull {name}`."
        ) from error
    return list(dict.fromkeys(blobs))


def _names(folder: Path) -> Iterator[str]:
    for file in (folder / "manifests").glob("*/*/*/*"):
        host, namespace, model, tag = file.relative_to(folder / "manifests").parts
        prefix = [] if host == "registry.ollama.ai" else [host, namespace]
        prefix = prefix or ([] if namespace == "library" else [namespace])
        yield "/".join([*prefix, f"{model}:{tag}"])


def _verify(folder: Path, blob: _Blob, name: str) -> None:
    digest = hashlib.sha256()
    with (folder / blob.file).open("rb") as file:
        while part := file.read(MIB):
            digest.update(part)
    if f"sha256:{digest.hexdigest()}" != blob.digest:
        raise UserError(
            f"{name} is damaged in the store {folder}: {blob.file} has sha256 {digest.hexdigest()}.",
            f"Remove that file and fetch the model again with `ollama pull {name}`.",
        )


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
