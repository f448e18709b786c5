"""What an instance's own programs have logged, found by CloudWatch's filter."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from ollama_gpu.aws import code_of
from ollama_gpu.context import Context


def messages(context: Context, instance_id: str, pattern: str) -> Iterator[str]:
    """The lines of an instance that match, oldest first; none where it has logged nothing yet."""
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
