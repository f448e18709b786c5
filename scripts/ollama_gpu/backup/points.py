"""What can be restored: recovery points of AWS Backup, and the records that group the points of one backup."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context

from .protected import CONFIGURATION, RESTORABLE, Protected

_CONTINUOUS = ":recovery-point:continuous:"
"""What tells a continuous backup from a snapshot: ListRecoveryPointsByBackupVault has no field for it."""


@dataclass(frozen=True)
class Point:
    """A point to restore one part from.

    ``id`` is the end of a recovery point's ARN, or a record's id. ``backup`` is the id of the record that lists it,
    None for a scheduled backup. ``size`` is in bytes. ``arn`` is empty for a record. ``time`` is set for a restore from
    a continuous backup.
    """

    part: str
    id: str
    created: datetime
    size: int
    backup: str | None
    arn: str
    time: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the point for JSON output, with its age in seconds."""
        age = round((datetime.now(UTC) - self.created).total_seconds())
        return {
            "part": self.part,
            "point": self.id,
            "created": self.created.isoformat(timespec="seconds"),
            "age_seconds": age,
            "bytes": self.size,
            "backup": self.backup,
            "arn": self.arn or None,
        }


@dataclass(frozen=True)
class Record:
    """The record of a requested backup: the configuration, and the ARNs of the recovery points of the other parts."""

    id: str
    created: datetime
    size: int
    content: dict[str, Any]

    @property
    def points(self) -> dict[str, str]:
        return dict(self.content["points"])


def key(context: Context, backup: str) -> str:
    """Return a record's key in the artifact bucket."""
    return context.contract.artifacts["backup"].format(environment=context.environment.name, backup=backup)


def records(context: Context) -> list[Record]:
    """Return every record, newest first."""
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
    """Return every point that can be restored as it is, newest first. Continuous backups need a time: `at`."""
    by_arn = {arn: record.id for record in recorded for arn in record.points.values()}
    found = [Point(CONFIGURATION, each.id, each.created, each.size, each.id, "") for each in recorded]
    for part, item in _vault(context, protected):
        arn, size = item["RecoveryPointArn"], item.get("BackupSizeInBytes", 0)
        if _CONTINUOUS not in arn:
            found.append(Point(part, arn.split(":")[-1], item["CreationDate"], size, by_arn.get(arn), arn))
    return sorted(found, key=lambda point: point.created, reverse=True)


def at(context: Context, protected: Protected, moment: datetime, only: Collection[str]) -> Mapping[str, Point]:
    """Choose the continuous backup of each part, to restore it as it was at ``moment``.

    ``only`` limits the parts; empty means all with a continuous backup. Raises UserError if a part has none, or if
    ``moment`` has no time zone or is in the future.
    """
    if moment.tzinfo is None:
        raise UserError(f"{moment.isoformat()} has no time zone.", "Append Z for UTC: 2026-01-31T14:05:00Z.", 2)
    if moment > datetime.now(UTC):
        raise UserError(f"{moment.isoformat()} is in the future.", "Choose an earlier time.", 2)
    newest: dict[str, Point] = {}
    for part, item in _vault(context, protected):
        arn, created = item["RecoveryPointArn"], item["CreationDate"]
        if _CONTINUOUS in arn and (part not in newest or newest[part].created < created):
            size = item.get("BackupSizeInBytes", 0)
            newest[part] = Point(part, arn.split(":")[-1], created, size, None, arn, moment.astimezone(UTC))
    chosen = {part: point for part, point in newest.items() if not only or part in only}
    missing = sorted(set(only) - set(chosen))
    if missing or not chosen:
        raise UserError(
            f"There is no continuous backup{' of ' + ', '.join(missing) if missing else ''}.",
            "Only the database and the uploads have one. List the other backups with: ollama-gpu backup list",
        )
    return chosen


def _vault(context: Context, protected: Protected) -> Iterator[tuple[str, Any]]:
    """Yield the complete recovery points of the vault with their parts."""
    backup = context.aws.client("backup")
    pages = backup.get_paginator("list_recovery_points_by_backup_vault").paginate(BackupVaultName=protected.vault)
    for item in (each for page in pages for each in page["RecoveryPoints"]):
        part = protected.part(item["ResourceArn"])
        if part is not None and item["Status"] in ("COMPLETED", "AVAILABLE"):
            yield part, item


def choose(points: Sequence[Point], name: str | None, only: Collection[str]) -> Mapping[str, Point]:
    """Choose the point to restore for each part: from the backup or point ``name``, by default the newest.

    ``only`` limits the parts; empty means all that can be restored. Raises UserError if no point matches.
    """
    unknown = sorted(set(only) - set(RESTORABLE))
    if unknown:
        raise UserError(
            f"{', '.join(unknown)} cannot be restored by this command.", f"Choose from: {', '.join(RESTORABLE)}.", 2
        )
    parts = [part for part in RESTORABLE if not only or part in only]
    matching = [point for point in points if name in (None, point.id, point.backup)]
    chosen = {part: point for part in parts for point in reversed(matching) if point.part == part}
    missing = [part for part in only if part not in chosen]
    if missing or not chosen:
        what = f"of {', '.join(missing or parts)}" + (f" named {name}" if name else "")
        raise UserError(f"There is no backup {what}.", "List the backups with: ollama-gpu backup list")
    return chosen
