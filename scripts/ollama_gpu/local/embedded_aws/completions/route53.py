"""Route 53: create a record again after its deletion.

moto 5.2.5 checks whether a record exists in the zone's list of changes instead of its records. So a record that was
created and deleted "already exists" when it is created again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.route53.models import ChangeList, Route53Backend

from .patching import around


def apply() -> None:
    """Patch moto's Route 53."""

    @around(Route53Backend, "change_resource_record_sets")
    def change(original: Callable[..., Any], self: Any, zoneid: str, change_list: list[dict[str, Any]]) -> None:
        zone = self.get_hosted_zone(zoneid)
        existing = {(each.name.strip("."), each.type) for each in zone.rrsets}
        zone.rr_changes = ChangeList(each for each in zone.rr_changes if _record(each) in existing)
        original(self, zoneid, change_list)


def _record(change: dict[str, Any]) -> tuple[str, str]:
    record = change["ResourceRecordSet"]
    return record["Name"].strip("."), record["Type"]
