"""Terraform and its provider on this machine, as rows for `doctor` and for preflight."""

from __future__ import annotations

import os

from ollama_gpu.checks import Check
from ollama_gpu.errors import UserError
from ollama_gpu.paths import Paths
from ollama_gpu.progress import progress_view
from ollama_gpu.terraform.adapter import Terraform
from ollama_gpu.terraform.installation import find_provider_mirrors


def rows(paths: Paths, environment: str) -> list[Check]:
    """Terraform's version, and the provider's with where it comes from; one failed row when it cannot be used."""
    folder = paths.environment(environment)
    view = progress_view(console_is_terminal=False, quiet=True)
    try:
        found = Terraform(paths.terraform, folder / "terraform", folder / "logs", {}, view, environment).version()
        source = find_provider_mirrors(paths.work, os.environ).explanation
    except UserError as error:
        return [Check("Terraform", "failed", error.message, error.remedy)]
    providers = ", ".join(f"{name.rsplit('/', 1)[1]} {version}" for name, version in sorted(found.providers.items()))
    return [
        Check("Terraform", "ok", f"{found.terraform} at {found.executable}"),
        Check("provider", "ok", f"{providers or 'as the lock file selects'}, {source}"),
    ]
