"""The resources to back up, the vault and the IAM roles, from Terraform's outputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ollama_gpu.core.errors import UserError

CONFIGURATION = "configuration"
RESTORABLE = ("database", "uploads", "models", CONFIGURATION)
"""The parts that `restore` can restore, in the order of output."""


@dataclass(frozen=True)
class Protected:
    """The protected resources: ARNs by part, which are database, uploads, models (artifact bucket) and files (EFS).

    ``key`` is the KMS key of the data stores and their secrets. ``database_settings`` are parameters of a restored
    database by their names in AWS Backup. They are empty if the last apply predates them.
    """

    vault: str
    backup_role: str
    restore_role: str
    key: str
    resources: dict[str, str]
    database_settings: dict[str, str] = field(default_factory=dict)

    def part(self, arn: str) -> str | None:
        """Return the part of a resource, None if the resource is not this environment's."""
        return next((part for part, each in self.resources.items() if each == arn), None)


def from_outputs(outputs: dict[str, Any], environment: str) -> Protected:
    """Read Terraform's outputs. Raises UserError if the last apply predates backups on request."""
    try:
        backup = outputs["backup"]
        roles = backup["backup_role_arn"], backup["restore_role_arn"]
        settings = backup.get("database_settings") or {}
        return Protected(backup["vault_name"], *roles, outputs["key_arns"]["data"], backup["resources"], settings)
    except KeyError as error:
        raise UserError(
            f"Terraform's outputs of ENV={environment} do not list the resources to back up.",
            f"Deploy to add them: make deploy ENV={environment}",
        ) from error
