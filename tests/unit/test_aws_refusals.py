"""What AWS refuses becomes one sentence with a remedy."""

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

from ollama_gpu.aws import explain


def refused(code: str, message: str = "text") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetCallerIdentity")


@pytest.mark.parametrize(
    ("error", "says", "advises"),
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
def test_each_refusal_says_what_and_what_to_do(error: BotoCoreError | ClientError, says: str, advises: str) -> None:
    explained = explain(error)
    assert says in explained.message
    assert advises in explained.remedy
    assert explained.status in (1, 2)
