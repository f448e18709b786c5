"""The permissions that S3's operations require. Many actions are not named like the operation.

Follows: https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from moto.s3.models import s3_backends

from .operation import Operation
from .policies import Permission

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


def required_permissions(operation: Operation, partition: str, account: str) -> list[Permission]:
    """Return the permissions. DeleteObjects is denied as a whole, where AWS deletes the objects that are allowed."""
    arn = f"arn:{partition}:s3:::"
    request = operation.parameters
    bucket, key = request.get("Bucket"), request.get("Key")
    if bucket is None:
        return [Permission(_action(operation.name))]
    if operation.name == "DeleteObjects":
        return [
            Permission(_action("DeleteObject", each.get("VersionId")), f"{arn}{bucket}/{each['Key']}")
            for each in request["Delete"]["Objects"]
        ]
    if key is None:
        context = {"s3:prefix": request["Prefix"]} if "Prefix" in request else {}
        return [Permission(_action(operation.name), f"{arn}{bucket}", context)]
    permissions = [Permission(_action(operation.name, request.get("VersionId")), f"{arn}{bucket}/{key}")]
    if operation.name in ("GetObject", "HeadObject") and _is_missing(account, partition, request):
        # without this permission, AWS does not reveal that the object is missing
        permissions.append(Permission("s3:ListBucket", f"{arn}{bucket}"))
    if source := operation.headers.get("x-amz-copy-source"):
        permissions.append(Permission("s3:GetObject", arn + unquote(source).lstrip("/").partition("?versionId=")[0]))
    return permissions


def _action(operation: str, version: str | None = None) -> str:
    action = _ACTIONS.get(operation, operation)
    if version and action in _ON_VERSIONS:
        action = action.replace("Object", "ObjectVersion", 1)
    return f"s3:{action}"


def _is_missing(account: str, partition: str, request: Mapping[str, Any]) -> bool:
    s3 = s3_backends[account][partition]
    bucket = request["Bucket"]
    return bucket in s3.buckets and s3.get_object(bucket, request["Key"], request.get("VersionId")) is None
