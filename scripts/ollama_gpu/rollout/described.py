"""Describes the versions and the last rollout of each fleet."""

from __future__ import annotations

from typing import Any

from ollama_gpu.environment.context import Context

from .pending import group_of, group_version, in_order, instance_versions, pending_rollouts
from .refresh import newest


def describe(context: Context, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return, by fleet, the newest version, the versions in use, whether a rollout is due, and the last rollout."""
    described = {}
    pending = {each.fleet for each in pending_rollouts(context, outputs)}
    for fleet in in_order(outputs):
        group = group_of(context.aws, outputs, fleet)
        last = newest(context.aws, outputs, fleet)
        described[fleet] = {
            "newest_version": str(outputs["fleets"][fleet]["launch_template"]["latest_version"]),
            "group_version": group_version(group),
            "instances_by_version": dict(sorted(instance_versions(group).items())),
            "due": fleet in pending,
            "last": last.as_dict() if last else None,
        }
    return described
