"""Takes a backup now: one AWS Backup job for each data store, and a record that groups the recovery points."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.terraform.progress import ProgressView

from . import configuration, jobs
from .protected import CONFIGURATION, Protected

SECONDS = 12 * 3600.0  # the same limit as in the backup plans: the first backup of a large bucket takes hours


@dataclass(frozen=True)
class Taken:
    """A completed backup. ``points`` are the ARNs of the new recovery points by part."""

    backup: str
    seconds: float
    points: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def take(context: Context, protected: Protected, view: ProgressView, only: Collection[str] = ()) -> Taken:
    """Back up every part, or ``only`` these parts and the configuration, and wait until the backup completes.

    Raises UserError for an unknown part, and with AWS's reasons if a job fails. The record is written only if all
    jobs complete.
    """
    unknown = sorted(set(only) - {*protected.resources, CONFIGURATION})
    if unknown:
        known = ", ".join([*protected.resources, CONFIGURATION])
        raise UserError(f"There is no part {', '.join(unknown)}.", f"Choose from: {known}.", 2)
    start, created = time.monotonic(), datetime.now(UTC)
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
        states = {part: partial(jobs.backup_state, backup, job) for part, job in started.items()}
        jobs.require_completed("backup", jobs.follow("backup", states, view, SECONDS))
    arns = {part: backup.describe_backup_job(BackupJobId=job)["RecoveryPointArn"] for part, job in started.items()}
    configuration.save(context, identifier, created, arns)
    return Taken(identifier, round(time.monotonic() - start, 1), arns)
