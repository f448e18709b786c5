"""Look up buckets and objects in S3; read and write objects."""

from __future__ import annotations

import base64

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of

_MISSING = ("404", "NoSuchBucket", "NoSuchKey")
"""The response to HEAD has no body, so its error code is only 404."""


def has_bucket(aws: Aws, bucket: str) -> bool:
    """Whether the bucket exists. Raises ClientError if this account has no access to it."""
    try:
        aws.s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if code_of(error) in _MISSING:
            return False
        raise
    return True


def has_object(aws: Aws, bucket: str, key: str) -> bool:
    """Whether the object exists; False if the bucket does not."""
    try:
        aws.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code_of(error) in _MISSING:
            return False
        raise
    return True


def read(aws: Aws, bucket: str, key: str) -> bytes | None:
    """The content of an object; None if the object or the bucket does not exist."""
    try:
        return aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if code_of(error) in _MISSING:
            return None
        raise


def put(aws: Aws, bucket: str, key: str, content: bytes, sha256: str) -> None:
    """Write an object. S3 refuses it unless its SHA-256 digest (64 hexadecimal digits) matches."""
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    aws.s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumSHA256=digest)
