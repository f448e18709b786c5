"""Go back to a recorded release: its own Terraform tree, variables, image and collection, by the way of any deploy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ollama_gpu import deploy, images, recorded_release, release_records
from ollama_gpu.approval import Approval
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.progress import ProgressView
from ollama_gpu.release_records import Record


def run(context: Context, to: int | None, approval: Approval, view: ProgressView) -> dict[str, Any]:
    """Apply a recorded release again and roll the instances to it; return the outputs.

    ``to`` is its number; None takes the one that served before what stands now. Models stay: they are no part of a
    rollback, and the set of now is served on. Raises UserError when the release cannot be had any more.
    """
    target = release_records.read(context, to) if to is not None else previous(release_records.newest_first(context))
    if not target.image:
        raise UserError(
            f"Release {target.number} of {target.environment} never stood: its apply did not end.",
            f"Choose one that was deployed: make releases ENV={target.environment}",
            status=2,
        )
    note(f"rollback: to release {target.number}, {target.release} of {target.began:%Y-%m-%d %H:%M} UTC, {target.image}")
    _require_image(context, target)
    past, release = recorded_release.of(context, target)
    return deploy.again(context, past, release, target.number, approval, view)


def previous(records: Iterable[Record]) -> Record:
    """Of records sorted newest first, the last deployed one that is not what the newest one brought."""
    older = iter(records)
    newest = next(older, None)
    if newest is None:
        raise UserError("Nothing was deployed here yet.", "There is nothing to go back to.", status=2)
    for record in older:
        if record.outcome == "deployed" and record.content != newest.content:
            return record
    raise UserError(
        f"Release {newest.number} is the only one that {newest.environment} ever had.",
        "There is nothing to go back to.",
        status=2,
    )


def _require_image(context: Context, target: Record) -> None:
    if images.described(context.aws, target.image) is None:
        raise UserError(
            f"The image {target.image} of release {target.number} is gone.",
            f"Check out {target.release}, bake it again and deploy it from there.",
        )
