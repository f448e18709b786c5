"""A deployed environment: its context and Terraform's outputs."""

from __future__ import annotations

from typing import Any

from ollama_gpu.context import Context, open_context
from ollama_gpu.errors import UserError
from ollama_gpu.fabric import Fabric
from ollama_gpu.progress import progress_view


def deployed(name: str) -> tuple[Context, dict[str, Any]]:
    """Open an environment that stands. Raises UserError when it was never deployed, or ENV=local is not running."""
    context = open_context(name)
    fabric = Fabric(context, progress_view(console_is_terminal=False, quiet=True))
    fabric.init()
    outputs = fabric.outputs()
    if not outputs:
        raise UserError(f"ENV={name} has not been deployed.", f"Deploy it with: make deploy ENV={name}")
    return context, outputs
