"""Doctor's rows about this shell's variables that would send a deploy elsewhere, or that it does without."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from ollama_gpu.checks import Check
from ollama_gpu.terraform.installation import clean_environment

_LOCAL = ("127.0.0.1", "localhost", "::1")


def rows(variables: Mapping[str, str], embedded: bool) -> list[Check]:
    """No row where the shell is as it should be; ``embedded``: ENV=local, which sets what it needs by itself."""
    found = []
    address = variables.get("AWS_ENDPOINT_URL", "")
    if not embedded and urlsplit(address).hostname in _LOCAL:
        remedy = "Run `unset AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY` and sign in to AWS."
        found.append(Check("shell", "failed", f"AWS_ENDPOINT_URL={address} points it at a local AWS", remedy))
    _, ignored = clean_environment(variables)
    if ignored:
        remedy = "Write such values into the environment's tfvars, and unset the variables."
        found.append(Check("shell", "warning", f"Terraform is run without {', '.join(ignored)}", remedy))
    return found
