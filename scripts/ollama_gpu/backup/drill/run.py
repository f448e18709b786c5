"""The steps of the drill, and its report."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.backup import points, restore, take
from ollama_gpu.backup.protected import Protected
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.waiting import wait_until
from ollama_gpu.environment.context import Context
from ollama_gpu.fabric.approval import Approval
from ollama_gpu.terraform.progress import ProgressView

from . import disaster
from .content import OpenWebUI

PARTS = ("database", "uploads")
_SERVES_SECONDS = 600.0  # DNS, and new connections of the processes


@dataclass(frozen=True)
class Report:
    """The measurements of a drill.

    ``recovery_point_age_seconds`` is the age of the backup at the disaster: newer data was lost.
    ``recovery_time_seconds`` lasts from the start of the restore until the content is available at the front door.
    ``proved`` counts the verified content.
    """

    backup: str
    backup_seconds: float
    recovery_point_age_seconds: float
    restore_seconds: float
    recovery_time_seconds: float
    destroyed_objects: int
    proved: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    context: Context, protected: Protected, open_webui: OpenWebUI, approval: Approval, view: ProgressView
) -> Report:
    """Rehearse the loss of database and uploads. Raises UserError if not permitted, or if content is missing."""
    if context.environment.variables.data.deletion_protection:
        raise UserError(
            f"ENV={context.environment.name} has deletion protection for its data, and a drill deletes data.",
            "Run the drill in an environment of the same size with data.deletion_protection = false.",
        )
    approval.agree(context.environment, f"all users, chats and files of {context.environment.name}, to restore them")
    content = open_webui.create_content()
    session = open_webui.sign_in_as_administrator()  # reused: Open WebUI allows 15 sign-ins per user in 3 minutes
    note(f"drill: created {_format_counts(content.counts())}")
    _require_nothing_missing(open_webui.missing(content), "created")
    taken = take(context, protected, view, PARTS)
    created = _created(context, protected, taken.points["database"])

    email, password = next(iter(content.accounts.items()))
    later, _ = open_webui.create_chat(open_webui.sign_in(email, password), "after the backup")
    destroyed = disaster.destroy(context.aws, protected)
    age = (datetime.now(UTC) - created).total_seconds()
    note(f"drill: deleted the database instance and {destroyed} object versions of uploads")
    wait_until(lambda: not open_webui.accepts(session), "Open WebUI to lose its content", _SERVES_SECONDS)
    if left := disaster.count_uploads(context.aws, protected):
        raise UserError(
            f"{left} uploads remain although all were deleted.", f"Restore with: make restore POINT={taken.backup}"
        )

    start = time.monotonic()
    found = points.read(context, protected, points.records(context))
    chosen = points.choose(found, taken.backup, PARTS)
    restored = restore.restore(context, protected, chosen, view)
    restore.require_complete(context, restored)
    wait_until(lambda: open_webui.accepts(session), "Open WebUI to answer", _SERVES_SECONDS)
    _require_nothing_missing(open_webui.missing(content), "restored")
    recovery = time.monotonic() - start
    if open_webui.chat_title(open_webui.sign_in(email, password), later) is not None:
        raise UserError(
            "A chat that was created after the backup still exists: this is not the restored database.",
            "Report a bug: the drill did not delete the database.",
        )
    report = Report(
        backup=taken.backup,
        backup_seconds=taken.seconds,
        recovery_point_age_seconds=round(age, 1),
        restore_seconds=restored.seconds,
        recovery_time_seconds=round(recovery, 1),
        destroyed_objects=destroyed,
        proved=content.counts(),
    )
    note(f"drill: verified {_format_counts(report.proved)} after {report.recovery_time_seconds:.0f} s")
    restore.update_state(context, protected, approval, view)
    return report


def _created(context: Context, protected: Protected, arn: str) -> datetime:
    backup = context.aws.client("backup")
    found = backup.describe_recovery_point(BackupVaultName=protected.vault, RecoveryPointArn=arn)
    created: datetime = found["CreationDate"]
    return created


def _require_nothing_missing(lost: list[str], action: str) -> None:
    if lost:
        raise UserError(
            f"Not all content was {action}. Missing or different: {'; '.join(lost)}.",
            "Backups are kept. List them with: ollama-gpu backup list",
        )


def _format_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())
