"""The names of an environment's containers and volumes, and of what they ask for."""

from __future__ import annotations

import hashlib

from ollama_gpu.context import Context
from ollama_gpu.paths import Paths

AWS_NAME = "aws"
"""Where instances reach the embedded AWS: without a dot, or its S3 would take the name for a bucket's host."""


def prefix_of(project: str, environment: str, paths: Paths) -> str:
    """First part of every name. Docker's names are the machine's: a second working folder gets names of its own."""
    if paths.is_default:
        return f"{project}-{environment}"
    return f"{project}-{hashlib.sha256(str(paths.work).encode()).hexdigest()[:6]}-{environment}"


def prefix(context: Context) -> str:
    """The same of a context's environment."""
    return prefix_of(context.contract.project, context.environment.name, context.paths)


def network(prefix: str) -> str:
    """The network of the environment whose names begin so: a VPC of its own, for every one calls its database alike."""
    return f"{prefix}-network"
