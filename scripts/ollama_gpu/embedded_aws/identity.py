"""How the server says who it is, and how others tell it from any other program on a port."""

from __future__ import annotations

import importlib.metadata

SERVICE = "ollama-gpu-embedded-aws"
HEALTH_PATH = "/ollama-gpu/health"
SERVER_MODULE = "ollama_gpu.embedded_aws.server"


def version() -> str:
    """The version of this package, as installed."""
    return importlib.metadata.version("ollama-gpu")
