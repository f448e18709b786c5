"""Backs up the database before another Open WebUI version migrates it. A migration cannot be reverted."""

from __future__ import annotations

from typing import Any

from ollama_gpu.core.console import note
from ollama_gpu.environment.context import Context
from ollama_gpu.releases import records
from ollama_gpu.releases.release import Release
from ollama_gpu.terraform.progress import ProgressView

from . import protected
from .take import Taken, take


def before_upgrade(context: Context, release: Release, outputs: dict[str, Any], view: ProgressView) -> Taken | None:
    """Back up the database if ``release`` has another Open WebUI version than the last deployed release.

    Call this before the release reaches an instance. ``outputs`` are Terraform's current outputs. If they are empty,
    nothing is deployed and there is nothing to back up. Returns the completed backup, or None if none was needed.
    Raises UserError if the backup fails. Do not roll out in that case.
    """
    last = records.last_deployed(context) if outputs else None
    if last is None or last.open_webui == release.open_webui:
        return None
    before = last.open_webui or "an unrecorded version"
    note(f"Open WebUI: {before} -> {release.open_webui}. Backing up the database before its migration")
    taken = take(context, protected.from_outputs(outputs, context.environment.name), view, ["database"])
    note(f"backup: {taken.backup}. To restore it: make restore ENV={context.environment.name} POINT={taken.backup}")
    return taken
