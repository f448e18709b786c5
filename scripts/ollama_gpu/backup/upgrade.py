"""The backup before another Open WebUI: its first instance migrates the database, and no revision goes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ollama_gpu import releases
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.progress import ProgressView

from . import protected
from .take import Taken, take


def before_upgrade(context: Context, outputs: Callable[[], dict[str, Any]], view: ProgressView) -> Taken | None:
    """Back the database up when this checkout brings another Open WebUI than the release that runs.

    To be called before the release is published. ``outputs`` reads those of the state as it is, which takes seconds;
    none: nothing has been deployed, so there is nothing to lose. Returns when the backup is done, None when none was
    needed. Raises UserError when it fails: then nothing may be rolled out.
    """
    running = releases.published(context.environment, context.contract, context.aws)
    if running is None:
        return None
    wanted = releases.open_webui(context.paths, context.environment)
    before = running.get("open_webui", "a version that was not recorded")
    if before == wanted or not (deployed := outputs()):
        return None
    note(f"Open WebUI: {before} becomes {wanted}; the database is backed up before it is migrated")
    taken = take(context, protected.of(deployed, context.environment.name), view, ["database"])
    note(f"backup: {taken.backup}. Back to it: make restore ENV={context.environment.name} POINT={taken.backup}")
    return taken
