"""The permissions that S3's operations take; many have another name than the operation.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from moto.s3.models import s3_backends

from .operation import Operation
from .policies import Need

_ACTIONS = {
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "GetBucketCors": "GetBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "GetBucketReplication": "GetReplicationConfiguration",
    "GetObjectAttributes": "GetObject",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListParts": "ListMultipartUploadParts",
    "SelectObjectContent": "GetObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
}
_ON_VERSIONS = {"GetObject", "DeleteObject", "GetObjectAcl", "PutObjectAcl", "GetObjectTagging", "PutObjectTagging"}


def needs_of(operation: Operation, partition: str, account: str) -> list[Need]:
    """The permissions of an operation of S3. DeleteObjects is refused whole where AWS would delete what it may."""
    arn = f"arn:{partition}:s3:::"
    asked = operation.parameters
    bucket, key = asked.get("Bucket"), asked.get("Key")
    if bucket is None:
        return [Need(_action(operation.name))]
    if operation.name == "DeleteObjects":
        return [
            Need(_action("DeleteObject", each.get("VersionId")), f"{arn}{bucket}/{each['Key']}")
            for each in asked["Delete"]["Objects"]
        ]
    if key is None:
        context = {"s3:prefix": asked["Prefix"]} if "Prefix" in asked else {}
        return [Need(_action(operation.name), f"{arn}{bucket}", context)]
    needs = [Need(_action(operation.name, asked.get("VersionId")), f"{arn}{bucket}/{key}")]
    if operation.name in ("GetObject", "HeadObject") and _is_missing(account, partition, asked):
        needs.append(Need("s3:ListBucket", f"{arn}{bucket}"))  # who may not list does not learn that it is missing
    if source := operation.headers.get("x-amz-copy-source"):
        needs.append(Need("s3:GetObject", arn + unquote(source).lstrip("/").partition("?versionId=")[0]))
    return needs


def _action(operation: str, version: str | None = None) -> str:
    action = _ACTIONS.get(operation, operation)
    if version and action in _ON_VERSIONS:
        action = action.replace("Object", "ObjectVersion", 1)
    return f"s3:{action}"


def _is_missing(account: str, partition: str, asked: Mapping[str, Any]) -> bool:
    s3 = s3_backends[account][partition]
    bucket = asked["Bucket"]
    return bucket in s3.buckets and s3.get_object(bucket, asked["Key"], asked.get("VersionId")) is None
