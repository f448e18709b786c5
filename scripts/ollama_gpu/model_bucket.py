"""The environment's folder of models in the artifact bucket: Ollama's layout, by digest, and what each model weighs.

Each environment has a copy of its own, for a manifest lies under the model's name: shared, a new digest of `gemma3:4b`
in dev would take the old one away from the instances of prod. A manifest lies under its digest as well, so that every
one that was ever published can be pinned again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from ollama_gpu import s3
from ollama_gpu.aws import Aws, code_of
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.model_memory import GIB, MIB, Shape
from ollama_gpu.model_store import Manifest, Store, blob_file, manifest_path, sha256

PROGRESS_SECONDS = 10.0
# S3 takes 10,000 parts of a file: of 64 MiB each they hold 625 GiB, more than any model.
_PARTS = TransferConfig(multipart_threshold=64 * MIB, multipart_chunksize=64 * MIB)

Say = Callable[[str], None]


class Bucket:
    """``name`` is the artifact bucket's."""

    def __init__(self, environment: Environment, contract: Contract, aws: Aws) -> None:
        self.name = contract.artifact_bucket(aws.identity.account, environment.region)
        self._pattern = contract.artifacts["models"].replace("{environment}", environment.name)
        self._environment = environment.name
        self._aws = aws
        self._s3 = aws.s3

    def require(self) -> None:
        """Raises UserError unless there is a bucket."""
        if not s3.has_bucket(self._aws, self.name):
            raise UserError(
                f"The artifact bucket {self.name} does not exist.",
                f"Make it with: make bootstrap ENV={self._environment}",
            )

    def manifest(self, name: str, digest: str) -> Manifest | None:
        """A manifest that was published before, however long ago."""
        path = manifest_path(name)
        for file in (blob_file(digest), path):  # the latter alone was published by earlier releases
            content = self._read(file)
            if content is not None and sha256(content) == digest:
                return Manifest(name, path, content)
        return None

    def shape(self, manifest: Manifest) -> Shape | None:
        """What a published model's weights are like; None where an earlier release published it."""
        content = self._read(_shape_file(manifest))
        if content is None:
            return None
        value = json.loads(content)
        lists = {"kv_heads": tuple(value["kv_heads"]), "windowed": tuple(value["windowed"])}
        return Shape(**{**value, **lists, "name": manifest.name, "weights_bytes": manifest.weights_bytes})

    def upload(self, manifest: Manifest, shape: Shape, store: Store, say: Say) -> None:
        """Bring a model here from a store: its blobs, then its manifest, so that a model which can be found is whole.

        Raises UserError for a blob that is damaged.
        """
        missing = [blob for blob in manifest.blobs if self._size(blob.file) != blob.size]
        progress = Progress(manifest.name, sum(blob.size for blob in missing), say)
        for blob in missing:
            store.verify(blob, manifest.name)
            self._s3.upload_file(
                str(store.folder / blob.file), self.name, self._key(blob.file), Config=_PARTS, Callback=progress.add
            )
            if self._size(blob.file) != blob.size:
                raise UserError(
                    f"s3://{self.name}/{self._key(blob.file)} is not {blob.size} bytes long after its upload.",
                    "Leave the store alone meanwhile and publish again.",
                )
        described = json.dumps(asdict(shape)).encode()
        if self._read(_shape_file(manifest)) != described:
            self._write(_shape_file(manifest), described)
        if self._size(blob_file(manifest.digest)) != len(manifest.content):
            self._write(blob_file(manifest.digest), manifest.content)
        self.name_it(manifest, say)

    def name_it(self, manifest: Manifest, say: Say) -> None:
        """Let a model's name lead to this manifest, whose blobs are here."""
        if self._read(manifest.path) == manifest.content:
            return
        self._write(manifest.path, manifest.content)
        say(f"models: {manifest.name} is in s3://{self.name}, {manifest.digest[:19]}")

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
            if code_of(error) == "404":
                return None
            raise

    def _read(self, file: str) -> bytes | None:
        return s3.read(self._aws, self.name, self._key(file))

    def _write(self, file: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self.name, Key=self._key(file), Body=content)


class Progress:
    """A line now and then while files go up; boto3 calls it from several threads."""

    def __init__(self, name: str, total: int, say: Say) -> None:
        self._name, self._total, self._say = name, total, say
        self._done, self._told = 0, time.monotonic()
        self._lock = threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            if time.monotonic() - self._told < PROGRESS_SECONDS:
                return
            self._told = time.monotonic()
            done, total = self._done / GIB, self._total / GIB
            self._say(f"models: {self._name}: {done:.1f} of {total:.1f} GiB uploaded")


def _shape_file(manifest: Manifest) -> str:
    return f"shapes/{manifest.weights.digest.replace(':', '-')}.json"
