"""What of an environment is backed up, where to and with which rights: as Terraform's outputs say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ollama_gpu.errors import UserError

CONFIGURATION = "configuration"
RESTORABLE = ("database", "uploads", "models", CONFIGURATION)
"""The parts that `restore` brings back, in the order in which they are shown."""


@dataclass(frozen=True)
class Protected:
    """``resources`` are ARNs by part: database, uploads, models (the artifact bucket) and files (EFS).

    ``key`` is the KMS key of the stores and their secrets.
    """

    vault: str
    backup_role: str
    restore_role: str
    key: str
    resources: dict[str, str]

    def part(self, arn: str) -> str | None:
        """The part that a resource is, None when it is none of this environment's."""
        return next((part for part, each in self.resources.items() if each == arn), None)


def of(outputs: dict[str, Any], environment: str) -> Protected:
    """Read the outputs. Raises UserError where the fabric was applied before backups could be asked for."""
    try:
        said = outputs["backup"]
        roles = said["backup_role_arn"], said["restore_role_arn"]
        return Protected(said["vault_name"], *roles, outputs["key_arns"]["data"], said["resources"])
    except KeyError as error:
        raise UserError(
            f"The state of ENV={environment} does not say what to back up.", f"Run: make deploy ENV={environment}"
        ) from error
