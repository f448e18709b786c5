"""The backup before another Open WebUI: its first instance migrates the database, and no revision goes back."""

from __future__ import annotations

from typing import Any

from ollama_gpu import release_records
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.progress import ProgressView
from ollama_gpu.releases import Release

from . import protected
from .take import Taken, take


def before_upgrade(context: Context, release: Release, outputs: dict[str, Any], view: ProgressView) -> Taken | None:
    """Back the database up when ``release`` brings another Open WebUI than the one that was deployed last.

    To be called before anything of the release reaches an instance. ``outputs`` are those of the state as it is; none:
    nothing has been deployed, so there is nothing to lose. Returns when the backup is done, None when none was needed.
    Raises UserError when it fails: then nothing may be rolled out.
    """
    last = release_records.last_deployed(context) if outputs else None
    if last is None or last.open_webui == release.open_webui:
        return None
    before = last.open_webui or "a version that was not recorded"
    note(f"Open WebUI: {before} becomes {release.open_webui}; the database is backed up before it is migrated")
    taken = take(context, protected.of(outputs, context.environment.name), view, ["database"])
    note(f"backup: {taken.backup}. Back to it: make restore ENV={context.environment.name} POINT={taken.backup}")
    return taken
