"""Log messages of one instance, found with a CloudWatch filter pattern."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import code_of
from ollama_gpu.environment.context import Context


def messages(context: Context, instance_id: str, pattern: str) -> Iterator[str]:
    """Yield the matching messages of an instance, oldest first. Empty if it has not logged anything yet."""
    pages = (
        context.aws.client("logs")
        .get_paginator("filter_log_events")
        .paginate(
            logGroupName=context.contract.log_group("instance", context.environment.name),
            logStreamNames=[instance_id],
            filterPattern=pattern,
        )
    )
    try:
        yield from (event["message"] for page in pages for event in page["events"])
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
