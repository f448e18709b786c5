"""The disaster of a drill: deletes the database instance and every version of every upload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ollama_gpu.backup import database
from ollama_gpu.backup.protected import Protected
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.errors import UserError

_BATCH = 1000  # the limit of DeleteObjects


def destroy(aws: Aws, protected: Protected) -> int:
    """Delete the database instance and empty the upload bucket. Returns the number of deleted object versions."""
    database.delete(aws, database.name_of(protected.resources["database"]))
    bucket = protected.resources["uploads"].split(":")[-1]
    deleted = 0
    for batch in _versions(aws, bucket):
        answer = aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if errors := answer.get("Errors"):
            message = errors[0].get("Message")
            raise UserError(f"s3://{bucket} cannot be emptied: {message}.", "Restore the database with: make restore")
        deleted += len(batch)
    return deleted


def count_uploads(aws: Aws, protected: Protected) -> int:
    """Count the objects in the upload bucket."""
    answer = aws.s3.list_objects_v2(Bucket=protected.resources["uploads"].split(":")[-1])
    return int(answer["KeyCount"])


def _versions(aws: Aws, bucket: str) -> Iterator[list[Any]]:
    for page in aws.s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": _BATCH}
    ):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
