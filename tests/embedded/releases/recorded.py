"""A context of ENV=local on the session's embedded AWS, with buckets for one test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ollama_gpu.core import contract
from ollama_gpu.core.aws import Aws
from ollama_gpu.core.paths import Paths, locate
from ollama_gpu.environment import settings
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.embedded_aws import Endpoint
from tests.embedded.conftest import REGION


def bucketed(client: Callable[[str], Any], endpoint: Endpoint, name: str, work: Path) -> Context:
    """Create the context with versioned artifact and state buckets, as bootstrap creates them."""
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
    return Context(where, settings.load(where, "local"), own, Aws(REGION, endpoint.url), {}, ())
