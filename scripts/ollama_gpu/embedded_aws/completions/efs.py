"""EFS: backup policies and deletable file system policies.

moto 5.2.5 has no PutBackupPolicy and no DeleteFileSystemPolicy, and a file system made without backup has no
backup policy to read.
"""

from __future__ import annotations

import json
from typing import Any

from moto.efs.models import FileSystem
from moto.efs.responses import EFSResponse

from .patching import add_operations

JSON_HEADERS = {"Content-Type": "application/json"}


def apply() -> None:
    """Patch moto's EFS."""
    made_with = FileSystem.backup_policy.fget
    FileSystem.backup_policy = property(lambda self: getattr(self, "_backup_policy", None) or made_with(self))
    add_operations(EFSResponse, put_backup_policy, delete_file_system_policy)


def put_backup_policy(self: Any) -> tuple[str, dict[str, str]]:
    """PutBackupPolicy; it takes effect at once."""
    policy = self._get_param("BackupPolicy")
    _file_system(self)._backup_policy = policy
    return json.dumps({"BackupPolicy": policy}), JSON_HEADERS


def delete_file_system_policy(self: Any) -> tuple[str, dict[str, str]]:
    """DeleteFileSystemPolicy."""
    _file_system(self).file_system_policy = None
    return "{}", JSON_HEADERS


def _file_system(response: Any) -> Any:
    identifier = response._get_param("FileSystemId")
    return response.efs_backend.describe_file_systems(file_system_id=identifier)[1][0]
