"""Errors from AWS become user errors with a remedy."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    UnauthorizedSSOTokenError,
)

from ollama_gpu.core.aws import explain


def refused(code: str, message: str = "text") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")


@pytest.mark.parametrize(
    ("error", "message", "remedy"),
    [
        (NoCredentialsError(), "No AWS credentials", "aws sso login"),
        (ProfileNotFound(profile="work"), "work", "AWS_PROFILE"),
        (UnauthorizedSSOTokenError(), "single sign-on", "aws sso login"),
        (EndpointConnectionError(endpoint_url="https://sts.example"), "does not answer", "network"),
        (refused("ExpiredToken"), "expired", "Sign in again"),
        (refused("RequestExpired"), "expired", "Sign in again"),
        (refused("InvalidClientTokenId"), "does not accept", "AWS_PROFILE"),
        (refused("AccessDenied", "not authorized to perform: x"), "not authorized to perform: x", "permission"),
        (refused("Throttling", "slow down"), "slow down", ""),
    ],
)
def test_error_from_aws_has_message_and_remedy(error: BotoCoreError | ClientError, message: str, remedy: str) -> None:
    explained = explain(error)
    assert message in explained.message
    assert remedy in explained.remedy
    assert explained.status in (1, 2)
