"""Whether S3 has a bucket or an object, what an object holds, and one put there by its digest."""

from __future__ import annotations

import base64

from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of

_MISSING = ("404", "NoSuchBucket", "NoSuchKey")
"""A HEAD has no body and so no name for what is missing."""


def has_bucket(aws: Aws, bucket: str) -> bool:
    """Whether there is a bucket of that name, which this account may use."""
    try:
        aws.s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if code_of(error) in _MISSING:
            return False
        raise
    return True


def has_object(aws: Aws, bucket: str, key: str) -> bool:
    """Whether the bucket has an object of that key; False without the bucket."""
    try:
        aws.s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if code_of(error) in _MISSING:
            return False
        raise
    return True


def read(aws: Aws, bucket: str, key: str) -> bytes | None:
    """What an object holds; None where there is none, or no bucket."""
    try:
        return aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if code_of(error) in _MISSING:
            return None
        raise


def put(aws: Aws, bucket: str, key: str, content: bytes, sha256: str) -> None:
    """Put an object; S3 refuses it unless what arrives has that digest, 64 hexadecimal digits."""
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    aws.s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumSHA256=digest)
