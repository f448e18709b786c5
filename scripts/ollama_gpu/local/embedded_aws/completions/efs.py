"""EFS: DeleteFileSystemPolicy, which moto 5.2.5 lacks."""

from __future__ import annotations

from typing import Any

from moto.efs.responses import EFSResponse

from .patching import add_operations


def apply() -> None:
    """Patch moto's EFS."""
    add_operations(EFSResponse, delete_file_system_policy)


def delete_file_system_policy(self: Any) -> tuple[str, dict[str, str]]:
    """DeleteFileSystemPolicy."""
    identifier = self._get_param("FileSystemId")
    self.efs_backend.describe_file_systems(file_system_id=identifier)[1][0].file_system_policy = None
    return "{}", {"Content-Type": "application/json"}
