"""What there is to go back to: AWS Backup's recovery points, and the records that bind those of one backup."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.context import Context
from ollama_gpu.errors import UserError

from .protected import CONFIGURATION, RESTORABLE, Protected


@dataclass(frozen=True)
class Point:
    """Something to restore one part from.

    ``id`` is the end of a recovery point's ARN, or a record's name; ``backup`` the record that names it, None for one
    that a plan made by itself; ``size`` in bytes; ``arn`` is empty for a record.
    """

    part: str
    id: str
    created: datetime
    size: int
    backup: str | None
    arn: str

    def as_dict(self) -> dict[str, Any]:
        """The machine form, for ``--json``: the age is in seconds."""
        age = round((datetime.now(UTC) - self.created).total_seconds())
        said = {"part": self.part, "point": self.id, "created": self.created.isoformat(timespec="seconds")}
        return said | {"age_seconds": age, "bytes": self.size, "backup": self.backup, "arn": self.arn or None}


@dataclass(frozen=True)
class Record:
    """A backup that was asked for: its configuration, and the recovery points of the other parts by ARN."""

    id: str
    created: datetime
    size: int
    content: dict[str, Any]

    @property
    def points(self) -> dict[str, str]:
        return dict(self.content["points"])


def key(context: Context, backup: str) -> str:
    """A record's key in the artifact bucket."""
    return context.contract.artifacts["backup"].format(environment=context.environment.name, backup=backup)


def records(context: Context) -> list[Record]:
    """Every record, newest first."""
    prefix = key(context, "").removesuffix(".json")
    pages = context.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=context.artifact_bucket, Prefix=prefix)
    found = []
    for item in (each for page in pages for each in page.get("Contents", [])):
        body = context.aws.s3.get_object(Bucket=context.artifact_bucket, Key=item["Key"])["Body"].read()
        content = json.loads(body)
        created = datetime.fromisoformat(content["created"])
        found.append(Record(content["backup"], created, len(body), content))
    return sorted(found, key=lambda record: record.created, reverse=True)


def read(context: Context, protected: Protected, recorded: Sequence[Record]) -> list[Point]:
    """Everything there is to restore from, newest first."""
    by_arn = {arn: record.id for record in recorded for arn in record.points.values()}
    found = [Point(CONFIGURATION, each.id, each.created, each.size, each.id, "") for each in recorded]
    backup = context.aws.client("backup")
    pages = backup.get_paginator("list_recovery_points_by_backup_vault").paginate(BackupVaultName=protected.vault)
    for item in (each for page in pages for each in page["RecoveryPoints"]):
        arn, part = item["RecoveryPointArn"], protected.part(item["ResourceArn"])
        if part is None or item["Status"] not in ("COMPLETED", "AVAILABLE"):
            continue
        size = item.get("BackupSizeInBytes", 0)
        found.append(Point(part, arn.split(":")[-1], item["CreationDate"], size, by_arn.get(arn), arn))
    return sorted(found, key=lambda point: point.created, reverse=True)


def choose(points: Sequence[Point], wanted: str | None, only: Collection[str]) -> Mapping[str, Point]:
    """The point of each part that is to be restored: of the backup or the point ``wanted``, else the newest.

    ``only`` names parts, none for every one that can be restored. Raises UserError when there is no such thing.
    """
    unknown = sorted(set(only) - set(RESTORABLE))
    if unknown:
        raise UserError(
            f"{', '.join(unknown)} cannot be restored by this command.", f"Choose of: {', '.join(RESTORABLE)}.", 2
        )
    parts = [part for part in RESTORABLE if not only or part in only]
    offered = [point for point in points if wanted in (None, point.id, point.backup)]
    chosen = {part: point for part in parts for point in reversed(offered) if point.part == part}
    missing = [part for part in only if part not in chosen]
    if missing or not chosen:
        what = f"of {', '.join(missing or parts)}" + (f" named {wanted}" if wanted else "")
        raise UserError(f"There is no backup {what}.", "See what there is with: ollama-gpu backup list")
    return chosen
