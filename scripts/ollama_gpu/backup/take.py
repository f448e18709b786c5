"""Takes a backup now: a job of AWS Backup for each store, followed to its end, and the record that binds them."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView

from . import configuration, jobs
from .protected import CONFIGURATION, Protected

SECONDS = 12 * 3600.0  # AWS Backup's own limit in the plans: the first backup of a large bucket takes hours


@dataclass(frozen=True)
class Taken:
    """``points`` are the new recovery points' ARNs by part."""

    backup: str
    seconds: float
    points: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def take(context: Context, protected: Protected, view: ProgressView, only: Collection[str] = ()) -> Taken:
    """Back up every part, or ``only`` these and the configuration; return when it is done.

    Raises UserError for a part that does not exist, and with AWS's reasons when a job fails: the record is written
    only when all went well.
    """
    unknown = sorted(set(only) - {*protected.resources, CONFIGURATION})
    if unknown:
        known = ", ".join([*protected.resources, CONFIGURATION])
        raise UserError(f"There is no part {', '.join(unknown)}.", f"Choose of: {known}.", 2)
    began, created = time.monotonic(), datetime.now(UTC)
    identifier = created.strftime("%Y%m%dt%H%M%Sz")
    backup = context.aws.client("backup")
    started = {
        part: backup.start_backup_job(
            BackupVaultName=protected.vault,
            ResourceArn=arn,
            IamRoleArn=protected.backup_role,
            Lifecycle={"DeleteAfterDays": context.environment.variables.data.backup_retention_days},
        )["BackupJobId"]
        for part, arn in protected.resources.items()
        if not only or part in only
    }
    if started:
        looks = {part: partial(jobs.backup_state, backup, job) for part, job in started.items()}
        jobs.follow("backup", looks, view, SECONDS)
    arns = {part: backup.describe_backup_job(BackupJobId=job)["RecoveryPointArn"] for part, job in started.items()}
    configuration.keep(context, identifier, created, arns)
    return Taken(identifier, round(time.monotonic() - began, 1), arns)
