"""A context of ENV=local whose AWS is the session's, with buckets of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ollama_gpu import contract, environments
from ollama_gpu.aws import Aws
from ollama_gpu.context import Context
from ollama_gpu.embedded_aws.process import Endpoint
from ollama_gpu.paths import Paths, locate

from .conftest import REGION


def bucketed(client: Callable[[str], Any], endpoint: Endpoint, name: str, work: Path) -> Context:
    """The context, and its artifact and state buckets, both versioned as bootstrap makes them."""
    agreed = contract.load(locate().contract)
    own = agreed.model_copy(
        update={
            "artifacts": {**agreed.artifacts, "bucket": f"{name}-artifacts"},
            "state": {**agreed.state, "bucket": f"{name}-state"},
        }
    )
    for bucket in (own.artifacts["bucket"], own.state["bucket"]):
        client("s3").create_bucket(Bucket=bucket)
        client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    where = Paths(locate().repository, work)
    return Context(where, environments.load(where, "local"), own, Aws(REGION, endpoint.url), {}, ())
