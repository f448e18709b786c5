"""Restores parts of an environment, in the runbook's order: jobs, configuration, the database's place, Terraform."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ollama_gpu import recorded_release, release_records
from ollama_gpu.approval import Approval
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.fabric import Fabric
from ollama_gpu.progress import ProgressView

from . import configuration, database, jobs, points
from .points import Point
from .protected import CONFIGURATION, Protected

SECONDS = 12 * 3600.0
_ITSELF = {  # what happens to what is there, for the question before it
    "database": "takes the place of the database: what was written since then is out of sight",
    "uploads": "brings back what the bucket lacks",
    "models": "brings back what the artifact bucket lacks",
    CONFIGURATION: "sets image, release, models and secrets",
}


@dataclass(frozen=True)
class Restored:
    """``replaced`` is what the former database server is called now; ``seconds`` took all of it."""

    points: dict[str, str]
    replaced: str | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def agree(context: Context, chosen: Mapping[str, Point], approval: Approval) -> None:
    """Say what will be restored and from when; return when it may be. Raises UserError when it may not."""
    for part, point in chosen.items():
        note(f"restore: {point.id} of {point.created:%Y-%m-%d %H:%M:%S} UTC {_ITSELF[part]}")
    approval.agree(context.environment, f"{', '.join(chosen)} of {context.environment.name}")


def restore(context: Context, protected: Protected, chosen: Mapping[str, Point], view: ProgressView) -> Restored:
    """Restore each part from its point; what was restored serves when this returns. `settle` must follow.

    Raises UserError with AWS's reasons when a job fails: then no server was renamed and nothing was configured.
    """
    began, moment = time.monotonic(), datetime.now(UTC).strftime("%Y%m%dt%H%M%Sz")
    backup = context.aws.client("backup")
    server = database.name_of(protected.resources["database"])
    restored = database.beside(server, moment)
    started = {}
    for part, point in chosen.items():
        if part == CONFIGURATION:
            continue
        if part == "database":
            metadata = database.metadata(backup, protected.vault, point.arn, restored)
        else:
            metadata = _bucket_metadata(protected.resources[part])
        job = backup.start_restore_job(
            RecoveryPointArn=point.arn, IamRoleArn=protected.restore_role, Metadata=metadata
        )  # fmt: skip
        started[part] = job["RestoreJobId"]
    if started:
        looks = {part: partial(jobs.restore_state, backup, job) for part, job in started.items()}
        jobs.follow("restore", looks, view, SECONDS)
    if CONFIGURATION in chosen:
        record = next(each for each in points.records(context) if each.id == chosen[CONFIGURATION].id)
        configuration.restore(context, record)
    replaced = None
    if "database" in chosen:
        database.manage_password(context.aws, restored, protected.key)
        replaced = database.put_in_place(context.aws, server, restored, moment)
        note(f"database: {server} has what {chosen['database'].id} has")
    if replaced:
        note(f"database: the former server is called {replaced} and costs as before. When nobody needs it any more:")
        note(f"  aws rds delete-db-instance --db-instance-identifier {replaced} --skip-final-snapshot")
    seconds = round(time.monotonic() - began, 1)
    return Restored({part: point.id for part, point in chosen.items()}, replaced, seconds)


def _bucket_metadata(arn: str) -> dict[str, str]:
    """Into the bucket itself, where AWS Backup touches no object that is there."""
    return {"DestinationBucketName": arn.split(":")[-1], "NewBucket": "false", "CreationToken": str(uuid.uuid4())}


def settle(context: Context, protected: Protected, approval: Approval, view: ProgressView) -> None:
    """Terraform's state learns which server has the name now, and the server what its restore left out.

    The plan is of the release that stands, whatever this checkout is. Raises UserError when it is not approved or
    fails: the data are back all the same, and this can be repeated.
    """
    server = database.name_of(protected.resources["database"])
    record = release_records.last_deployed(context)
    if record is None:
        raise UserError(
            f"No deploy of {context.environment.name} has come to its end: nobody knows which release to settle.",
            f"Deploy it: make deploy ENV={context.environment.name}",
        )
    past, release = recorded_release.of(context, record)
    fabric = Fabric(past, view, release)
    fabric.init()
    fabric.adopt(database.ADDRESS, server)
    plan = fabric.plan()
    if plan.changes:
        approval.obtain(context.environment, plan.review)
        fabric.apply(plan)
    else:
        plan.path.unlink(missing_ok=True)
