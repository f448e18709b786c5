"""Roll back to a recorded release: deploy its Terraform tree, variables, image and collection again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.deploy import steps
from ollama_gpu.environment import images
from ollama_gpu.environment.context import Context
from ollama_gpu.fabric.approval import Approval
from ollama_gpu.releases import recorded as recorded_release
from ollama_gpu.releases import records as release_records
from ollama_gpu.releases.records import Record
from ollama_gpu.terraform.progress import ProgressView


def run(context: Context, to: int | None, approval: Approval, view: ProgressView) -> dict[str, Any]:
    """Deploy a recorded release again and return Terraform's outputs.

    ``to`` is the release's number; None selects the previous deployed release. A rollback does not change the model
    set. Raises UserError if a part of the release no longer exists.
    """
    target = release_records.read(context, to) if to is not None else previous(release_records.newest_first(context))
    if not target.image:
        raise UserError(
            f"Release {target.number} of {target.environment} was never deployed: its apply did not complete.",
            f"Choose a deployed release from: make releases ENV={target.environment}",
            status=2,
        )
    note(f"rollback: to release {target.number}, {target.release} of {target.began:%Y-%m-%d %H:%M} UTC, {target.image}")
    _require_image(context, target)
    recorded, release = recorded_release.load(context, target)
    return steps.redeploy(context, recorded, release, target.number, approval, view)


def previous(records: Iterable[Record]) -> Record:
    """Return the newest deployed record whose content differs from the newest record's. Records come newest first."""
    older = iter(records)
    newest = next(older, None)
    if newest is None:
        raise UserError("This environment has no releases.", "There is nothing to roll back to.", status=2)
    for record in older:
        if record.outcome == "deployed" and record.content != newest.content:
            return record
    raise UserError(
        f"{newest.environment} has no deployed release before {newest.number} that differs from it.",
        "There is nothing to roll back to.",
        status=2,
    )


def _require_image(context: Context, target: Record) -> None:
    if images.described(context.aws, target.image) is None:
        raise UserError(
            f"The image {target.image} of release {target.number} no longer exists.",
            f"Check out {target.release}, bake the image, and deploy from that checkout.",
        )
