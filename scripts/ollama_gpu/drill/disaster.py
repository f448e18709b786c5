"""Destroys what people have in an environment, for real: the database server, and every version of every upload."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ollama_gpu.aws import Aws
from ollama_gpu.backup import database
from ollama_gpu.backup.protected import Protected
from ollama_gpu.errors import UserError

_BATCH = 1000  # DeleteObjects takes no more


def destroy(aws: Aws, protected: Protected) -> int:
    """Delete the database server and empty the uploads; returns how many versions of objects were deleted."""
    database.delete(aws, database.name_of(protected.resources["database"]))
    bucket = protected.resources["uploads"].split(":")[-1]
    deleted = 0
    for batch in _versions(aws, bucket):
        answer = aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if errors := answer.get("Errors"):
            raise UserError(f"s3://{bucket} cannot be emptied: {errors[0].get('Message')}.", "Restore the database.")
        deleted += len(batch)
    return deleted


def uploads(aws: Aws, protected: Protected) -> int:
    """How many objects the uploads' bucket has."""
    answer = aws.s3.list_objects_v2(Bucket=protected.resources["uploads"].split(":")[-1])
    return int(answer["KeyCount"])


def _versions(aws: Aws, bucket: str) -> Iterator[list[Any]]:
    for page in aws.s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, PaginationConfig={"PageSize": _BATCH}
    ):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
