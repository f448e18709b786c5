"""Unsupported operations and failures are a 400, because the AWS provider retries a 500 up to 25 times."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ollama_gpu.environment.embedded_aws import EmbeddedAws, Endpoint

Client = Callable[[str], Any]


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("ec2", "describe_ipams", {}),  # EC2's own XML
        ("rds", "describe_account_attributes", {}),  # query
        ("backup", "list_frameworks", {}),  # REST with JSON
        ("logs", "list_anomalies", {}),  # JSON
        ("cloudwatch", "list_metric_streams", {}),  # the protocol that the SDK chooses
        ("route53", "list_cidr_collections", {}),  # REST with XML
        ("efs", "describe_account_preferences", {}),
    ],
)
def test_unsupported_operation_is_400_with_error_code(
    client: Client, service: str, operation: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as caught:
        getattr(client(service), operation)(**arguments)
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"]["Code"] == "EmbeddedAwsNotImplemented"
    assert "does not support" in answer["Error"]["Message"]


def test_internal_failure_is_400_with_traceback_in_log(client: Client, server: EmbeddedAws) -> None:
    with pytest.raises(ClientError) as caught:
        client("efs").describe_backup_policy(FileSystemId="fs-unknown")  # moto looks it up without a check
    answer = caught.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert answer["Error"]["Code"] == "EmbeddedAwsFailure"
    assert re.search(r"Traceback.*KeyError: 'fs-unknown'", server.log.read_text(), re.DOTALL)


def test_aws_error_is_unchanged(client: Client) -> None:
    with pytest.raises(ClientError) as caught:
        client("s3").get_object(Bucket="unknown-bucket-1f3a", Key="x")
    answer = caught.value.response
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (404, "NoSuchBucket")


def test_request_for_unknown_service_is_400(endpoint: Endpoint) -> None:
    connection = HTTPConnection("127.0.0.1", endpoint.port, timeout=10)
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/nothing/aws4_request"}
    connection.request("POST", "/", body=b"x", headers=headers)
    assert connection.getresponse().status == 400
    connection.close()
