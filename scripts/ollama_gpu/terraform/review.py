"""Summarize a plan for its approval: counts, destroyed resources, and data at risk."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ollama_gpu.terraform.events import ResourceChange, ResourceDrift

# Types whose deletion or replacement loses user data (files, conversations, backups) or the keys and secrets that are
# necessary to read it. Attachments such as aws_s3_bucket_policy contain no data.
_HOLDS_DATA = re.compile(
    r"aws_(db_instance|rds_cluster\w*|elasticache_replication_group|efs_file_system|s3_bucket|backup_vault"
    r"|kms_key|secretsmanager_secret)"
)
# Types that match the pattern but contain only configuration.
_HOLDS_NONE = frozenset(
    {"aws_rds_cluster_parameter_group", "aws_rds_cluster_role_association", "aws_rds_cluster_activity_stream"}
)
_SHOWN_OUTPUTS = 10
_SHOWN_UPDATES = 10


def holds_data(resource_type: str) -> bool:
    """Whether a resource of this type contains data that an apply cannot restore."""
    return resource_type not in _HOLDS_NONE and _HOLDS_DATA.fullmatch(resource_type) is not None


@dataclass(frozen=True)
class PlanReview:
    """The changes of a plan, sorted, so that the same plan always gives the same text."""

    changes: tuple[ResourceChange, ...] = ()
    drift: tuple[ResourceDrift, ...] = ()
    outputs_changed: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """True if the plan changes neither a resource nor an output."""
        acting = (count for action, count in self.counts.items() if action != "read")
        return not any(acting) and not self.outputs_changed

    @property
    def replaced(self) -> tuple[str, ...]:
        return self._addresses("replace")

    @property
    def destroyed(self) -> tuple[str, ...]:
        return self._addresses("delete")

    @property
    def data_stores_at_risk(self) -> tuple[str, ...]:
        """Addresses of resources with data that the plan replaces or destroys."""
        return tuple(
            each.address
            for each in self.changes
            if each.action in ("replace", "delete") and holds_data(each.resource_type)
        )

    def _addresses(self, action: str) -> tuple[str, ...]:
        return tuple(each.address for each in self.changes if each.action == action)

    def as_dict(self) -> dict[str, Any]:
        """The review for ``--json``."""
        return {
            "changes": not self.empty,
            "counts": {name: self.counts.get(name, 0) for name in _COUNTED} | dict(self.counts),
            "replaced": list(self.replaced),
            "destroyed": list(self.destroyed),
            "data_stores_at_risk": list(self.data_stores_at_risk),
            "outputs_changed": list(self.outputs_changed),
            "drifted": [each.address for each in self.drift],
        }

    def lines(self) -> list[str]:
        """The review as text. It lists every replaced or destroyed resource."""
        if self.empty:
            return ["No changes. The infrastructure matches the configuration."]
        counted = [f"{count} to {_VERBS.get(name, name)}" for name, count in _in_order(self.counts)]
        lines = [", ".join(counted) or "No resource changes."]
        at_risk = set(self.data_stores_at_risk)
        updated = self._addresses("update")
        lines += [f"  change: {address}" for address in updated[:_SHOWN_UPDATES]]
        if len(updated) > _SHOWN_UPDATES:
            lines.append(f"  change: {len(updated) - _SHOWN_UPDATES} more")
        for each in self.changes:
            if each.action in ("replace", "delete"):
                reason = f" ({each.reason.replace('_', ' ')})" if each.reason else ""
                mark = "  HOLDS DATA" if each.address in at_risk else ""
                lines.append(f"  {_VERBS[each.action]}: {each.address}{reason}{mark}")
        if self.outputs_changed:
            shown = ", ".join(self.outputs_changed[:_SHOWN_OUTPUTS])
            more = len(self.outputs_changed) - _SHOWN_OUTPUTS
            lines.append(f"  outputs changed: {shown}" + (f" and {more} more" if more > 0 else ""))
        # Terraform reports every attribute that AWS set since the last apply as drift. Show only the drift of resources
        # that the plan changes.
        changed = {each.address for each in self.changes}
        drifted = [each.address for each in self.drift if each.address in changed]
        if drifted:
            lines.append(f"  {len(drifted)} of these changed outside Terraform since the last apply:")
            lines += [f"    {address}" for address in drifted]
        return lines


_VERBS = {"delete": "destroy", "update": "change", "remove": "remove from the state (not destroyed)"}
_VERBS |= {name: name for name in ("create", "replace", "read", "move", "import")}
_COUNTED = ("create", "update", "replace", "delete", "read")


def _in_order(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    rest = sorted(set(counts) - set(_COUNTED))
    return [(name, counts[name]) for name in (*_COUNTED, *rest) if counts.get(name)]


def review_of(
    changes: Iterable[ResourceChange], drift: Iterable[ResourceDrift] = (), outputs: Iterable[str] = ()
) -> PlanReview:
    """Create the review from the events of a plan."""
    ordered = tuple(sorted(changes, key=lambda each: each.address))
    return PlanReview(
        changes=ordered,
        drift=tuple(sorted(drift, key=lambda each: each.address)),
        outputs_changed=tuple(sorted(outputs)),
        counts=dict(Counter(each.action for each in ordered)),
    )
