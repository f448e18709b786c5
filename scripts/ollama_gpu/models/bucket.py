"""An environment's models in the artifact bucket: Ollama's layout, by digest, and the shape of each model.

Each environment has its own copy, because a manifest is stored under the model's name: in a shared copy, a new digest
of `gemma3:4b` in dev would replace the one that prod's instances use. A manifest is also stored under its digest, so
that every published digest can be pinned again.
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

from ollama_gpu.core import s3
from ollama_gpu.core.aws import code_of
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.models.memory import GIB, MIB, Shape
from ollama_gpu.models.store import Manifest, Store, blob_file, manifest_path, sha256

PROGRESS_SECONDS = 10.0
# S3 accepts 10,000 parts per file: with 64 MiB each, that is 625 GiB, more than any model.
_PARTS = TransferConfig(multipart_threshold=64 * MIB, multipart_chunksize=64 * MIB)

Say = Callable[[str], None]


class Bucket:
    """``name`` is the artifact bucket's."""

    def __init__(self, context: Context) -> None:
        self.name = context.artifact_bucket
        self._pattern = context.contract.artifacts["models"].replace("{environment}", context.environment.name)
        self._environment = context.environment.name
        self._aws = context.aws
        self._s3 = context.aws.s3

    def require(self) -> None:
        """Raises UserError if the bucket does not exist."""
        if not s3.has_bucket(self._aws, self.name):
            raise UserError(
                f"The artifact bucket {self.name} does not exist.",
                f"Create it with: make bootstrap ENV={self._environment}",
            )

    def manifest(self, name: str, digest: str) -> Manifest | None:
        """Return a manifest by digest, if it was ever published."""
        path = manifest_path(name)
        for file in (blob_file(digest), path):  # earlier releases published only the latter
            content = self._read(file)
            if content is not None and sha256(content) == digest:
                return Manifest(name, path, content)
        return None

    def shape(self, manifest: Manifest) -> Shape | None:
        """Return the shape of a published model; None if an earlier release published it without one."""
        content = self._read(_shape_file(manifest))
        if content is None:
            return None
        value = json.loads(content)
        lists = {"kv_heads": tuple(value["kv_heads"]), "windowed": tuple(value["windowed"])}
        return Shape(**{**value, **lists, "name": manifest.name, "weights_bytes": manifest.weights_bytes})

    def upload(self, manifest: Manifest, shape: Shape, store: Store, say: Say) -> None:
        """Upload a model from a store: first its blobs, then its manifest, so that a visible model is complete.

        Raises UserError for a damaged blob.
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
                    "Publish again, and do not change the store meanwhile.",
                )
        described = json.dumps(asdict(shape)).encode()
        if self._read(_shape_file(manifest)) != described:
            self._write(_shape_file(manifest), described)
        if self._size(blob_file(manifest.digest)) != len(manifest.content):
            self._write(blob_file(manifest.digest), manifest.content)
        self.publish_name(manifest, say)

    def publish_name(self, manifest: Manifest, say: Say) -> None:
        """Make a model's name refer to this manifest, whose blobs are already in the bucket."""
        if self._read(manifest.path) == manifest.content:
            return
        self._write(manifest.path, manifest.content)
        say(f"models: {manifest.name} is in s3://{self.name}, {manifest.digest[:19]}")

    def empty(self) -> None:
        """Remove every model file with all its versions: the bucket is versioned."""
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
    """Report progress every few seconds during uploads; boto3 calls it from several threads."""

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
