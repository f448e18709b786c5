"""Restores parts of an environment in the runbook's order: jobs, configuration, database swap, Terraform state."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.fabric.approval import Approval
from ollama_gpu.fabric.fabric import Fabric
from ollama_gpu.releases import recorded, records
from ollama_gpu.terraform.progress import ProgressView

from . import configuration, database, jobs, points
from .points import Point
from .protected import CONFIGURATION, Protected

SECONDS = 12 * 3600.0
_EFFECTS = {
    "database": "replaces the database; data written since then is no longer visible",
    "uploads": "restores the objects that are missing in the bucket",
    "models": "restores the objects that are missing in the artifact bucket",
    CONFIGURATION: "sets image, release, models and secrets",
}
"""The effect on existing data, shown before the approval."""


@dataclass(frozen=True)
class Restored:
    """A completed restore. ``replaced`` is the new name of the old database, ``seconds`` the total duration.

    ``failed`` has AWS's reason for each part that was not restored, although the database was.
    """

    points: dict[str, str]
    failed: dict[str, str]
    replaced: str | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def require_approval(context: Context, chosen: Mapping[str, Point], approval: Approval) -> None:
    """Show what will be restored, and ask for approval. Raises UserError without approval."""
    for part, point in chosen.items():
        moment = point.time or point.created
        note(f"restore: {point.id} of {moment:%Y-%m-%d %H:%M:%S} UTC {_EFFECTS[part]}")
    approval.agree(context.environment, f"{', '.join(chosen)} of {context.environment.name}")


def restore(context: Context, protected: Protected, chosen: Mapping[str, Point], view: ProgressView) -> Restored:
    """Restore each part from its point. Restored data is in use when this returns. Call `update_state` afterwards.

    A bucket that could not be restored does not hold up the database: see `Restored.failed` and `require_complete`.
    Raises UserError with AWS's reasons if the database's job fails, or any job of a restore without a database. In that
    case no database was renamed and nothing configured.
    """
    start, moment = time.monotonic(), datetime.now(UTC).strftime("%Y%m%dt%H%M%Sz")
    backup = context.aws.client("backup")
    server = database.name_of(protected.resources["database"])
    restored = database.restored_name(server, moment)
    started: dict[str, str] = {}
    failed: dict[str, str] = {}
    for part, point in chosen.items():
        if part == CONFIGURATION:
            continue
        if part == "database":
            metadata = database.restore_metadata(
                backup, protected.vault, point.arn, restored, protected.database_settings
            )
        else:
            metadata = _bucket_metadata(protected.resources[part])
        if point.time:
            metadata["RestoreTime"] = f"{point.time:%Y-%m-%dT%H:%M:%SZ}"
        job = backup.start_restore_job(
            RecoveryPointArn=point.arn, IamRoleArn=protected.restore_role, Metadata=metadata
        )  # fmt: skip
        started[part] = job["RestoreJobId"]
    if started:
        states = {part: partial(jobs.restore_state, backup, job) for part, job in started.items()}
        failed = jobs.follow("restore", states, view, SECONDS)
    if "database" in failed or "database" not in started:
        jobs.require_completed("restore", failed)
    if CONFIGURATION in chosen:
        record = next(each for each in points.records(context) if each.id == chosen[CONFIGURATION].id)
        configuration.restore(context, record)
    replaced = None
    if "database" in chosen:
        database.manage_password(context.aws, restored, protected.key)
        replaced = database.replace_server(context.aws, server, restored, moment)
        note(f"database: {server} is restored from {chosen['database'].id}")
    if replaced:
        note(f"database: the old instance is now {replaced} and still incurs its cost. To delete it:")
        for command in database.deletion_commands(replaced, context.environment.region):
            note(f"  {command}")
    seconds = round(time.monotonic() - start, 1)
    completed = {part: point.id for part, point in chosen.items() if part not in failed}
    return Restored(completed, failed, replaced, seconds)


def require_complete(context: Context, restored: Restored) -> None:
    """Raise UserError if a part was not restored, after everything else is done."""
    if restored.failed:
        reasons = "; ".join(f"{part}: {reason.rstrip('.')}" for part, reason in restored.failed.items())
        only = " ".join(restored.failed)
        raise UserError(
            f"The database is restored, but not everything else. {reasons}.",
            "Fix the cause, then restore the rest with the same POINT or TIME: "
            f'make restore ENV={context.environment.name} ONLY="{only}"',
        )


def _bucket_metadata(arn: str) -> dict[str, str]:
    """Restore into the same bucket, where AWS Backup leaves existing objects unchanged.

    Without ACLs: the fabric's buckets disable them, and a restore of ACLs into such a bucket fails.
    """
    return {
        "DestinationBucketName": arn.split(":")[-1],
        "NewBucket": "false",
        "CreationToken": str(uuid.uuid4()),
        "RestoreACLs": "false",
    }


def update_state(context: Context, protected: Protected, approval: Approval, view: ProgressView) -> None:
    """Import the restored database into Terraform's state, and apply the settings that the restore left out.

    Uses the deployed release, regardless of this checkout. Raises UserError without approval, or if the apply fails.
    The restored data remains in use, and this step can be repeated.
    """
    server = database.name_of(protected.resources["database"])
    record = records.last_deployed(context)
    if record is None:
        raise UserError(
            f"{context.environment.name} has no deployed release, so Terraform's state cannot be updated.",
            f"Deploy it: make deploy ENV={context.environment.name}",
        )
    deployed, release = recorded.load(context, record)
    fabric = Fabric(deployed, view, release)
    fabric.init()
    fabric.import_resource(database.ADDRESS, server)
    plan = fabric.plan()
    if plan.changes:
        approval.obtain(context.environment, plan.review)
        fabric.apply(plan)
    else:
        plan.path.unlink(missing_ok=True)
