"""Names of an environment's containers, volumes and network, and of the embedded AWS in it."""

from __future__ import annotations

import hashlib

from ollama_gpu.core.paths import Paths
from ollama_gpu.environment.context import Context

AWS_NAME = "aws"
"""Host name of the embedded AWS for instances. It has no dot, or S3 would take the name for a bucket's host."""


def prefix_of(project: str, environment: str, paths: Paths) -> str:
    """Return the prefix of every name. Docker's names are global, so a second working folder gets another prefix."""
    if paths.is_default:
        return f"{project}-{environment}"
    return f"{project}-{hashlib.sha256(str(paths.work).encode()).hexdigest()[:6]}-{environment}"


def prefix(context: Context) -> str:
    """Return the prefix of a context's environment."""
    return prefix_of(context.contract.project, context.environment.name, context.paths)


def network(prefix: str) -> str:
    """Return the network of the environment with this prefix. It replaces a VPC: all databases have the same name."""
    return f"{prefix}-network"
