"""Doctor's rows about this shell's variables that would send a deploy elsewhere, or that it does without."""

from __future__ import annotations

from collections.abc import Mapping

from ollama_gpu import shell
from ollama_gpu.checks import Check
from ollama_gpu.terraform.installation import clean_environment


def rows(variables: Mapping[str, str], embedded: bool) -> list[Check]:
    """No row where the shell is as it should be; ``embedded``: ENV=local, which sets what it needs by itself."""
    found = []
    address = shell.local_endpoint(variables)
    if address and not embedded:
        found.append(Check("shell", "failed", f"AWS_ENDPOINT_URL={address} points it at a local AWS", shell.REMEDY))
    _, ignored = clean_environment(variables)
    if ignored:
        remedy = "Write such values into the environment's tfvars, and unset the variables."
        found.append(Check("shell", "warning", f"Terraform is run without {', '.join(ignored)}", remedy))
    return found
