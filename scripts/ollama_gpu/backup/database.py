"""Restores the database as a second RDS instance, then swaps the two by renaming them.

RDS can only restore to a new instance. An instance's endpoint contains its name, so renaming both moves the clients
without reconfiguring them. `Renaming a DB instance` in the RDS guide recommends this. The old instance remains, with
the data written after the backup, until it is deleted by hand or with the environment.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.waiting import wait_until

SECONDS = 3600.0  # a rename is a restart: minutes
ADDRESS = "module.data.aws_db_instance.this"


def name_of(arn: str) -> str:
    """Return the instance's name, which is the end of its ARN."""
    return arn.split(":")[-1]


def restored_name(name: str, moment: str) -> str:
    """Return the name of the restored instance. RDS allows 63 characters."""
    return f"{name}-restored-{moment}"


def restore_metadata(backup: Any, vault: str, point: str, name: str) -> dict[str, str]:
    """Return the metadata for StartRestoreJob: as backed up, with another name."""
    metadata: dict[str, str] = backup.get_recovery_point_restore_metadata(
        BackupVaultName=vault, RecoveryPointArn=point
    )["RestoreMetadata"]
    if json.loads(metadata.get("MultiAZ", "false").lower()):
        metadata.pop("AvailabilityZone", None)  # RDS rejects both together
    return {**metadata, "DBInstanceIdentifier": name}


def manage_password(aws: Aws, name: str, key: str) -> None:
    """Let RDS manage and rotate the master password of a restored instance, which has the snapshot's password.

    Call this before the rename: hosts read the managed secret if they cannot sign in, and Terraform expects it.
    """
    rds = aws.client("rds")
    rds.modify_db_instance(
        DBInstanceIdentifier=name, ManageMasterUserPassword=True, MasterUserSecretKmsKeyId=key, ApplyImmediately=True
    )

    def managed() -> bool:
        found = _described(rds, name)
        secret = (found or {}).get("MasterUserSecret", {})
        return bool(found and secret.get("SecretStatus") == "active" and found["DBInstanceStatus"] == "available")

    wait_until(managed, f"the database {name} to have a managed password", SECONDS, every=1)


def replace_server(aws: Aws, name: str, restored: str, moment: str) -> str | None:
    """Rename ``restored`` to ``name``. Returns the old instance's new name, None if there was no old instance.

    Clients lose their connections, then reach the restored instance at the same endpoint within seconds, through DNS.
    """
    rds = aws.client("rds")
    old = f"{name}-replaced-{moment}" if _exists(rds, name) else None
    if old:
        _rename(rds, name, old)
    try:
        _rename(rds, restored, name)
    except (ClientError, UserError) as error:
        raise UserError(
            f"The restored database {restored} could not be renamed to {name}: {error}",
            f"Rename it by hand: aws rds modify-db-instance --db-instance-identifier {restored} "
            f"--new-db-instance-identifier {name} --apply-immediately. Then deploy.",
        ) from error
    return old


def delete_restore_copies(aws: Aws, name: str) -> None:
    """Delete the instances that restores created or replaced, with their data. Part of destroying an environment."""
    rds = aws.client("rds")
    found = [each["DBInstanceIdentifier"] for page in rds.get_paginator("describe_db_instances").paginate()
             for each in page["DBInstances"]]  # fmt: skip
    for each in found:
        if each.startswith((f"{name}-replaced-", f"{name}-restored-")):
            delete(aws, each)
            note(f"database: deleted {each}, which remained from a restore")


def delete(aws: Aws, name: str) -> None:
    """Delete an instance without a final snapshot, and wait until it is deleted."""
    rds = aws.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    wait_until(lambda: not _exists(rds, name), f"the database {name} to be deleted", SECONDS, every=1)


def _rename(rds: Any, old: str, new: str) -> None:
    rds.modify_db_instance(DBInstanceIdentifier=old, NewDBInstanceIdentifier=new, ApplyImmediately=True)

    def renamed() -> bool:
        found = _described(rds, new)
        return found is not None and found["DBInstanceStatus"] == "available" and not _exists(rds, old)

    wait_until(renamed, f"the database {old} to be called {new}", SECONDS, every=1)


def _exists(rds: Any, name: str) -> bool:
    return _described(rds, name) is not None


def _described(rds: Any, name: str) -> dict[str, Any] | None:
    try:
        found: list[dict[str, Any]] = rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    except ClientError as error:
        if code_of(error) in ("DBInstanceNotFound", "DBInstanceNotFoundFault"):
            return None
        raise
    return found[0]
