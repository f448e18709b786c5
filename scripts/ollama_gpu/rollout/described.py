"""How each fleet stands to its newest version."""

from __future__ import annotations

from typing import Any

from ollama_gpu.context import Context

from .due import due, group_of, in_order, named_by, versions_in
from .refresh import newest


def describe(context: Context, outputs: dict[str, Any]) -> dict[str, Any]:
    """Each fleet: newest version, its group's, how many instances run which; whether a rollout is due, and the last."""
    seen = {}
    waiting = {each.fleet for each in due(context, outputs)}
    for fleet in in_order(outputs):
        group = group_of(context.aws, outputs, fleet)
        last = newest(context.aws, outputs, fleet)
        seen[fleet] = {
            "newest_version": str(outputs["fleets"][fleet]["launch_template"]["latest_version"]),
            "group_version": named_by(group),
            "instances_by_version": dict(sorted(versions_in(group).items())),
            "due": fleet in waiting,
            "last": last.as_dict() if last else None,
        }
    return seen
