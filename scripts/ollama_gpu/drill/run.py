"""The drill's steps, and what they proved."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.approval import Approval
from ollama_gpu.backup import points, restore, take
from ollama_gpu.backup.protected import Protected
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView
from ollama_gpu.waiting import wait_until

from . import disaster
from .content import Site

PARTS = ("database", "uploads")
_SERVES_SECONDS = 600.0  # DNS, and the processes' connections


@dataclass(frozen=True)
class Report:
    """``recovery_point_age_seconds``: what was written so long before the disaster was lost; ``recovery_time_seconds``:
    from the order to restore until the content was seen at the front door again. ``proved`` counts what came back."""

    backup: str
    backup_seconds: float
    recovery_point_age_seconds: float
    restore_seconds: float
    recovery_time_seconds: float
    destroyed_objects: int
    proved: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(context: Context, protected: Protected, site: Site, approval: Approval, view: ProgressView) -> Report:
    """Rehearse the loss of database and uploads. Raises UserError where it may not, or when something is not back."""
    if context.environment.variables.data.deletion_protection:
        raise UserError(
            f"ENV={context.environment.name} protects its data from deletion, and a drill deletes them.",
            "Rehearse in an environment of the same sizes with data.deletion_protection = false.",
        )
    approval.agree(context.environment, f"all users, chats and files of {context.environment.name}, to restore them")
    written = site.write()
    session = site.administrate()  # kept: Open WebUI takes 15 sign-ins of a person in three minutes
    note(f"drill: written: {_counted(written.counts())}")
    _require_nothing_missing(site.missing(written), "written")
    taken = take(context, protected, view, PARTS)
    created = _created(context, protected, taken.points["database"])

    email, password = next(iter(written.accounts.items()))
    later, _ = site.write_chat(site.sign_in(email, password), "after the backup")
    destroyed = disaster.destroy(context.aws, protected)
    age = (datetime.now(UTC) - created).total_seconds()
    note(f"drill: the database server and {destroyed} versions of uploads are deleted")
    wait_until(lambda: not site.knows(session), "the site to lose its content", _SERVES_SECONDS)
    if left := disaster.uploads(context.aws, protected):
        raise UserError(f"{left} uploads are left after all were deleted.", f"make restore POINT={taken.backup}")

    began = time.monotonic()
    found = points.read(context, protected, points.records(context))
    chosen = points.choose(found, taken.backup, PARTS)
    restored = restore.restore(context, protected, chosen, view)
    wait_until(lambda: site.knows(session), "the site to answer again", _SERVES_SECONDS)
    _require_nothing_missing(site.missing(written), "restored")
    recovery = time.monotonic() - began
    if site.title(site.sign_in(email, password), later) is not None:
        raise UserError(
            "A chat that was written after the backup is there: the database is not the restored one.",
            "Report this: the disaster was none.",
        )
    report = Report(
        backup=taken.backup,
        backup_seconds=taken.seconds,
        recovery_point_age_seconds=round(age, 1),
        restore_seconds=restored.seconds,
        recovery_time_seconds=round(recovery, 1),
        destroyed_objects=destroyed,
        proved=written.counts(),
    )
    note(f"drill: {_counted(report.proved)} are back, by content, after {report.recovery_time_seconds:.0f} s")
    restore.settle(context, protected, approval, view)
    return report


def _created(context: Context, protected: Protected, arn: str) -> datetime:
    backup = context.aws.client("backup")
    found = backup.describe_recovery_point(BackupVaultName=protected.vault, RecoveryPointArn=arn)
    created: datetime = found["CreationDate"]
    return created


def _require_nothing_missing(lost: list[str], what: str) -> None:
    if lost:
        raise UserError(f"Not everything was {what}: {'; '.join(lost)}.", "The backup stays: ollama-gpu backup list")


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())
