"""Secrets Manager: return the version with the label AWSCURRENT.

moto 5.2.5 moves the label but still returns the version that was put last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.secretsmanager.models import SecretsManagerBackend

from .patching import around


def apply() -> None:
    """Patch moto's Secrets Manager."""

    @around(SecretsManagerBackend, "update_secret_version_stage")
    def update_secret_version_stage(
        original: Callable[..., Any],
        self: Any,
        secret_id: str,
        version_stage: str,
        remove_from_version_id: str,
        move_to_version_id: str,
    ) -> Any:
        answer = original(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)
        if version_stage == "AWSCURRENT" and move_to_version_id:
            self.secrets[secret_id].set_default_version_id(move_to_version_id)
        return answer
