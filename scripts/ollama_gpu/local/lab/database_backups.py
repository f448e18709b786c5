"""The lab's part of AWS Backup: copies a database into the vault for a backup, and back for a restore.

The embedded AWS has the jobs and waits for the copies. The vault contains the copies that its recovery points name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ollama_gpu.core.aws import Aws
from ollama_gpu.core.errors import UserError

from . import control_client
from .docker import LABEL, Docker

_SCRIPT = Path(__file__).with_suffix(".sh").read_text(encoding="utf-8")

log = logging.getLogger("lab")


def ensure(name: str, docker: Docker) -> str:
    """Create the volume of backups if it does not exist; return its name."""
    docker.output("volume", "create", f"--label={LABEL}=vault", name)
    return name


def run_jobs(aws: Aws, endpoint: str, docker: Docker, container: str) -> None:
    """Copy the databases in ``container`` for all running jobs, and report the results to the embedded AWS."""
    backup, rds = aws.client("backup"), aws.client("rds")
    for job in backup.list_backup_jobs(ByState="RUNNING", ByResourceType="RDS")["BackupJobs"]:
        _run_job(endpoint, job["BackupJobId"], partial(_back_up, rds, docker, container, job))
    for job in backup.list_restore_jobs(ByStatus="RUNNING", ByResourceType="RDS")["RestoreJobs"]:
        _run_job(endpoint, job["RestoreJobId"], partial(_restore, rds, docker, container, job))


def remove_orphans(aws: Aws, docker: Docker, container: str) -> None:
    """Remove backups without a recovery point, and the data of servers that RDS has deleted."""
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
            log.info("removed the %s %s", what, gone)


def _run_job(endpoint: str, job: str, work: Callable[[], int]) -> None:
    try:
        size = work()
    except UserError as error:
        log.error("job %s: %s", job, error.message)
        control_client.report_backup_job(endpoint, job, False, error.message, 0)
    else:
        log.info("job %s: done", job)
        control_client.report_backup_job(endpoint, job, True, "", size)


def _back_up(rds: Any, docker: Docker, container: str, job: dict[str, Any]) -> int:
    server = _server(rds, job["ResourceArn"])
    return int(_run(docker, container, "take", server, _name(job["RecoveryPointArn"])))


def _restore(rds: Any, docker: Docker, container: str, job: dict[str, Any]) -> int:
    server = _server(rds, job["CreatedResourceArn"])
    _run(docker, container, "give", _name(job["RecoveryPointArn"]), server)
    return 0


def _server(rds: Any, arn: str) -> str:
    """Return a server's resource ID, which stays the same when a restore renames the server."""
    found = rds.describe_db_instances(DBInstanceIdentifier=arn.split(":")[-1])["DBInstances"]
    return str(found[0]["DbiResourceId"])


def _name(arn: str) -> str:
    """Return the last part of a recovery point's ARN, ``job-...``."""
    return arn.split(":")[-1]


def _run(docker: Docker, container: str, *arguments: str) -> str:
    return docker.output("exec", "--interactive", container, "bash", "-s", "--", *arguments, text=_SCRIPT)
