"""Restores the database as a second RDS instance, then swaps the two by renaming them.

RDS can only restore to a new instance. An instance's endpoint contains its name, so renaming both moves the clients
without reconfiguring them. `Renaming a DB instance` in the RDS guide recommends this. The old instance remains, with
the data written after the backup, until it is deleted by hand or with the environment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import Aws, code_of
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.waiting import wait_until

SECONDS = 3600.0  # a rename is a restart: minutes
ADDRESS = "module.data.aws_db_instance.this"


# RDS takes all three from the backup. It rejects the first for PostgreSQL, the others for gp3 volumes below 400 GiB.
_NOT_RESTORED = ("DBName", "Iops", "StorageThroughput")


def name_of(arn: str) -> str:
    """Return the instance's name, which is the end of its ARN."""
    return arn.split(":")[-1]


def restored_name(name: str, moment: str) -> str:
    """Return the name of the restored instance. RDS allows 63 characters."""
    return f"{name}-restored-{moment}"


def restore_metadata(backup: Any, vault: str, point: str, name: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata for StartRestoreJob: as backed up, with another name and the fabric's ``settings``.

    Without a parameter group in ``settings``, RDS takes its default one, and the next deploy sets the fabric's.
    """
    metadata: dict[str, str] = backup.get_recovery_point_restore_metadata(
        BackupVaultName=vault, RecoveryPointArn=point
    )["RestoreMetadata"]
    if json.loads(metadata.get("MultiAZ", "false").lower()):
        metadata.pop("AvailabilityZone", None)  # RDS rejects both together
    for each in _NOT_RESTORED:
        metadata.pop(each, None)
    return {**metadata, **settings, "DBInstanceIdentifier": name}


def manage_password(aws: Aws, name: str, key: str) -> None:
    """Let RDS manage and rotate the master password of a restored instance, which has the snapshot's password.

    Call this before the rename: hosts read the managed secret if they cannot sign in, and Terraform expects it.
    """
    rds = aws.client("rds")
    _modify(rds, name, ManageMasterUserPassword=True, MasterUserSecretKmsKeyId=key)

    def managed() -> bool:
        found = _described(rds, name)
        secret = (found or {}).get("MasterUserSecret", {})
        return secret.get("SecretStatus") == "active" and _is_available(rds, name)

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
    """Delete the instances that restores created or replaced, with their data and logs.

    Part of destroying an environment. RDS keeps the logs of an instance under the name that it had.
    """
    rds = aws.client("rds")
    copies = (f"{name}-replaced-", f"{name}-restored-")
    found = [each["DBInstanceIdentifier"] for page in rds.get_paginator("describe_db_instances").paginate()
             for each in page["DBInstances"]]  # fmt: skip
    for each in found:
        if each.startswith(copies):
            delete(aws, each)
            note(f"database: deleted {each}, which remained from a restore")
    logs = aws.client("logs")
    for prefix in copies:
        for page in logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=f"/aws/rds/instance/{prefix}"
        ):
            for group in page["logGroups"]:
                logs.delete_log_group(logGroupName=group["logGroupName"])
                note(f"database: deleted the log group {group['logGroupName']}")


def delete(aws: Aws, name: str) -> None:
    """Delete an instance without a final snapshot, and wait until it is deleted."""
    rds = aws.client("rds")
    _modify(rds, name, DeletionProtection=False)
    wait_until(lambda: _is_available(rds, name), f"the database {name} to be available", SECONDS, every=1)
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    wait_until(lambda: not _exists(rds, name), f"the database {name} to be deleted", SECONDS, every=1)


def deletion_commands(name: str, region: str) -> list[str]:
    """Return the commands that delete an instance with its data. It is protected like the instance that it was."""
    target = f"--db-instance-identifier {name} --region {region}"
    return [
        f"aws rds modify-db-instance {target} --no-deletion-protection --apply-immediately",
        f"aws rds wait db-instance-available {target}",
        f"aws rds delete-db-instance {target} --skip-final-snapshot",
    ]


def _modify(rds: Any, name: str, **settings: Any) -> None:
    """Modify an instance as soon as it accepts it: RDS refuses while it still applies another modification."""

    def accepted() -> bool:
        try:
            rds.modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True, **settings)
        except ClientError as error:
            if code_of(error) not in ("InvalidDBInstanceState", "InvalidDBInstanceStateFault"):
                raise
            return False
        return True

    wait_until(accepted, f"the database {name} to accept a modification", SECONDS, every=1)


def _rename(rds: Any, old: str, new: str) -> None:
    _modify(rds, old, NewDBInstanceIdentifier=new)

    def renamed() -> bool:
        return _is_available(rds, new) and not _exists(rds, old)

    wait_until(renamed, f"the database {old} to be called {new}", SECONDS, every=1)


def _is_available(rds: Any, name: str) -> bool:
    found = _described(rds, name)
    return found is not None and found["DBInstanceStatus"] == "available"


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
