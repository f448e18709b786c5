"""Check Terraform and its provider on this machine, for `doctor` and preflight."""

from __future__ import annotations

import os

from ollama_gpu.core.checks import Check
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import Paths
from ollama_gpu.terraform.adapter import Terraform
from ollama_gpu.terraform.installation import find_provider_mirrors
from ollama_gpu.terraform.progress import progress_view


def rows(paths: Paths, environment: str) -> list[Check]:
    """Rows for Terraform's version and for the provider's version and source; one failed row if either is unusable."""
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
