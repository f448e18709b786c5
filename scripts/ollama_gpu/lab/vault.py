"""The lab's part of AWS Backup: what is in a database goes into the vault with a backup, and back with a restore.

The embedded AWS has the jobs and waits for this; what lies in the vault is what its recovery points name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ollama_gpu.aws import Aws
from ollama_gpu.errors import UserError

from . import handles
from .docker import LABEL, Docker

_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")

log = logging.getLogger("lab")


def ensure(name: str, docker: Docker) -> str:
    """Make the volume of backups, or find it; its name."""
    docker.output("volume", "create", f"--label={LABEL}=vault", name)
    return name


def serve(aws: Aws, endpoint: str, docker: Docker, container: str) -> None:
    """Do what running jobs ask of the databases in ``container``, and tell the embedded AWS how it went."""
    backup, rds = aws.client("backup"), aws.client("rds")
    for job in backup.list_backup_jobs(ByState="RUNNING", ByResourceType="RDS")["BackupJobs"]:
        _settle(endpoint, job["BackupJobId"], partial(_take, rds, docker, container, job))
    for job in backup.list_restore_jobs(ByStatus="RUNNING", ByResourceType="RDS")["RestoreJobs"]:
        _settle(endpoint, job["RestoreJobId"], partial(_give, rds, docker, container, job))


def forget(aws: Aws, docker: Docker, container: str) -> None:
    """Remove the backups that no recovery point names, and the data of servers that RDS has deleted."""
    backup = aws.client("backup")
    vaults = [each["BackupVaultName"] for each in backup.list_backup_vaults()["BackupVaultList"]]
    points = [
        _name(point["RecoveryPointArn"])
        for vault in vaults
        for point in backup.list_recovery_points_by_backup_vault(BackupVaultName=vault, ByResourceType="RDS")[
            "RecoveryPoints"
        ]
    ]
    servers = [each["DbiResourceId"] for each in aws.client("rds").describe_db_instances()["DBInstances"]]
    for what, folder, names in (("backup", "/vault", points), ("database", "/data/databases", servers)):
        for gone in _run(docker, container, "keep", folder, *names).split():
            log.info("the %s %s is gone", what, gone)


def _settle(endpoint: str, job: str, work: Callable[[], int]) -> None:
    try:
        size = work()
    except UserError as error:
        log.error("job %s: %s", job, error.message)
        handles.say_backup_job(endpoint, job, False, error.message, 0)
    else:
        log.info("job %s: done", job)
        handles.say_backup_job(endpoint, job, True, "", size)


def _take(rds: Any, docker: Docker, container: str, job: dict[str, Any]) -> int:
    server = _server(rds, job["ResourceArn"])
    return int(_run(docker, container, "take", server, _name(job["RecoveryPointArn"])))


def _give(rds: Any, docker: Docker, container: str, job: dict[str, Any]) -> int:
    server = _server(rds, job["CreatedResourceArn"])
    _run(docker, container, "give", _name(job["RecoveryPointArn"]), server)
    return 0


def _server(rds: Any, arn: str) -> str:
    """A server by what stays the same when it is renamed, as RDS does in a restore."""
    found = rds.describe_db_instances(DBInstanceIdentifier=arn.split(":")[-1])["DBInstances"]
    return str(found[0]["DbiResourceId"])


def _name(arn: str) -> str:
    """The last part of a recovery point's ARN, ``job-...``."""
    return arn.split(":")[-1]


def _run(docker: Docker, container: str, *arguments: str) -> str:
    return docker.output("exec", "--interactive", container, "bash", "-s", "--", *arguments, text=_SCRIPT)
