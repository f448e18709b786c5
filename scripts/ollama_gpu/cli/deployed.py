"""The context and the Terraform outputs of a deployed environment."""

from __future__ import annotations

from typing import Any

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context, open_context
from ollama_gpu.fabric.fabric import Fabric
from ollama_gpu.terraform.progress import progress_view


def deployed(name: str) -> tuple[Context, dict[str, Any]]:
    """Open a deployed environment. Raises UserError if it was never deployed, or if ENV=local is not running."""
    context = open_context(name)
    fabric = Fabric(context, progress_view(console_is_terminal=False, quiet=True))
    fabric.init()
    outputs = fabric.outputs()
    if not outputs:
        raise UserError(f"ENV={name} has not been deployed.", f"Deploy it with: make deploy ENV={name}")
    return context, outputs
