"""S3: lifecycle rules and notifications read back, bucket policies, delete markers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]
NOT_BY_HTTP = {"Bool": {"aws:SecureTransport": "false"}}


def deny(bucket: str, **more: Any) -> str:
    """Return a policy that denies everything on the objects of a bucket."""
    statement = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **more}]})


def test_newer_noncurrent_versions_read_back(client: Client, name: str) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    limited = {
        "ID": "limited",
        "Status": "Enabled",
        "Filter": {},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 90, "NewerNoncurrentVersions": 50},
    }
    plain = {
        "ID": "plain",
        "Status": "Enabled",
        "Filter": {"Prefix": "a/"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [limited, plain]})
    first, second = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert first["NoncurrentVersionExpiration"] == limited["NoncurrentVersionExpiration"]
    assert second["NoncurrentVersionExpiration"] == plain["NoncurrentVersionExpiration"]


def test_policy_that_denies_http_is_not_applied(client: Client, name: str) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_policy(Bucket=name, Policy=deny(name, Condition=NOT_BY_HTTP))
    s3.put_object(Bucket=name, Key="a", Body=b"text")
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"text"
    with pytest.raises(ClientError, match="404"):
        s3.head_object(Bucket=name, Key="missing")


def test_policy_that_denies_without_condition_is_applied(client: Client, name: str) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="a", Body=b"text")
    s3.put_bucket_policy(Bucket=name, Policy=deny(name))
    with pytest.raises(ClientError, match=r"403|AccessDenied"):
        s3.get_object(Bucket=name, Key="a")


def test_eventbridge_notifications_read_back(client: Client, name: str) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})
    assert s3.get_bucket_notification_configuration(Bucket=name)["EventBridgeConfiguration"] == {}
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={})
    assert "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=name)


def test_policy_of_log_bucket_may_deny_http(client: Client, name: str) -> None:
    s3 = client("s3")
    logs = f"{name}-logs"
    for bucket in (name, logs):
        s3.create_bucket(Bucket=bucket)
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{logs}/*",
    }
    policy = json.loads(deny(logs, Principal="*", Condition=NOT_BY_HTTP))
    policy["Statement"].append(allow)
    s3.put_bucket_policy(Bucket=logs, Policy=json.dumps(policy))
    s3.put_bucket_logging(
        Bucket=name, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": logs, "TargetPrefix": "a/"}}
    )
    assert s3.get_bucket_logging(Bucket=name)["LoggingEnabled"]["TargetBucket"] == logs


def test_delete_markers_can_be_deleted(client: Client, name: str) -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=name, Key="a", Body=b"text")
    marker = s3.delete_object(Bucket=name, Key="a")["VersionId"]
    s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "a", "VersionId": marker}]})
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"text"
