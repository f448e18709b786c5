"""A database server restored beside the one that runs, and put in its place by its name.

RDS restores into a new instance only. An instance's endpoint is made of its name, so renaming both moves the clients
over without touching one: `Renaming a DB instance` in RDS's guide recommends it. The old one stays, for whoever needs
what was written after the backup, until somebody deletes it or the environment.
"""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.aws import Aws, code_of
from ollama_gpu.console import note
from ollama_gpu.errors import UserError
from ollama_gpu.waiting import wait_until

SECONDS = 3600.0  # a rename is a restart: minutes
ADDRESS = "module.data.aws_db_instance.this"


def name_of(arn: str) -> str:
    """A server's name, the end of its ARN."""
    return arn.split(":")[-1]


def beside(name: str, moment: str) -> str:
    """The name of what a restore makes: RDS allows 63 characters."""
    return f"{name}-restored-{moment}"


def metadata(backup: Any, vault: str, point: str, name: str) -> dict[str, str]:
    """What StartRestoreJob is told: all as it was backed up, under another name."""
    said: dict[str, str] = backup.get_recovery_point_restore_metadata(BackupVaultName=vault, RecoveryPointArn=point)[
        "RestoreMetadata"
    ]
    if json.loads(said.get("MultiAZ", "false").lower()):
        said.pop("AvailabilityZone", None)  # RDS refuses both together
    return {**said, "DBInstanceIdentifier": name}


def manage_password(aws: Aws, name: str, key: str) -> None:
    """Let AWS make, keep and rotate the master's password of a restored server: a restore leaves the snapshot's.

    Before it gets the name: instances read that secret when they cannot sign in, and Terraform expects it.
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


def put_in_place(aws: Aws, name: str, restored: str, moment: str) -> str | None:
    """Give ``restored`` the name; returns what the server that had it is called now, None when there was none.

    Clients lose their connections and find the other server behind the same endpoint when DNS has it (seconds).
    """
    rds = aws.client("rds")
    old = f"{name}-replaced-{moment}" if _exists(rds, name) else None
    if old:
        _rename(rds, name, old)
    try:
        _rename(rds, restored, name)
    except (ClientError, UserError) as error:
        raise UserError(
            f"The restored server {restored} could not take the name {name}: {error}",
            f"Give it the name by hand: aws rds modify-db-instance --db-instance-identifier {restored} "
            f"--new-db-instance-identifier {name} --apply-immediately. Then deploy.",
        ) from error
    return old


def forget_restored(aws: Aws, name: str) -> None:
    """Delete, with their data, the servers that restores have made or replaced; the environment itself goes."""
    rds = aws.client("rds")
    found = [each["DBInstanceIdentifier"] for page in rds.get_paginator("describe_db_instances").paginate()
             for each in page["DBInstances"]]  # fmt: skip
    for each in found:
        if each.startswith((f"{name}-replaced-", f"{name}-restored-")):
            delete(aws, each)
            note(f"database: {each}, which a restore has left, is deleted")


def delete(aws: Aws, name: str) -> None:
    """Delete a server without a last snapshot, and wait until it is gone."""
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
