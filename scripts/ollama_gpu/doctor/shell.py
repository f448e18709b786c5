"""The doctor's checks of this shell's variables that would redirect a deploy, or that a deploy ignores."""

from __future__ import annotations

from collections.abc import Mapping

from ollama_gpu.core import shell
from ollama_gpu.core.checks import Check
from ollama_gpu.terraform.installation import clean_environment


def rows(variables: Mapping[str, str], embedded: bool) -> list[Check]:
    """Return a row per problem; ``embedded`` is true for ENV=local, which sets its own endpoint."""
    found = []
    address = shell.local_endpoint(variables)
    if address and not embedded:
        found.append(Check("shell", "failed", f"AWS_ENDPOINT_URL={address} points to a local AWS", shell.REMEDY))
    _, ignored = clean_environment(variables)
    if ignored:
        remedy = "Write these values into the environment's tfvars, and unset the variables."
        found.append(Check("shell", "warning", f"Terraform runs without {', '.join(ignored)}", remedy))
    return found
