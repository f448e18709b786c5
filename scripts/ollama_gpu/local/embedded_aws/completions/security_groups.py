"""Security group rules: ModifySecurityGroupRules, and descriptions of rules with a group or prefix list.

moto 5.2.5 stores descriptions only of CIDR ranges, rejects a modification of a rule for all protocols, and cannot
modify IPv6 ranges, referenced groups and prefix lists.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from moto.ec2.models import EC2Backend
from moto.ec2.models.security_groups import SecurityGroupRule

from .patching import around

ALL_PROTOCOLS = "-1"


def apply() -> None:
    """Patch moto's security groups."""

    @around(SecurityGroupRule, "__init__")
    def init(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        given = inspect.signature(original).bind(self, *args, **kwargs).arguments
        # moto stores only the id of a prefix list
        self.prefix_list_description = (given.get("prefix_list_id") or {}).get("Description")

    SecurityGroupRule.description = property(_description)

    @around(EC2Backend, "modify_security_group_rules")
    def modify(original: Callable[..., Any], self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        original(self, group_id, {name: _with_ports(rule) for name, rule in rules.items()})
        group = self.get_security_group_by_name_or_id(group_id)
        for name, new in rules.items():
            _finish(group.get_rule(name), new)


def _description(rule: Any) -> str | None:
    description: str | None = (
        rule.ip_range.get("Description") or rule.source_group.get("Description") or rule.prefix_list_description
    )
    return description


def _with_ports(rule: dict[str, Any]) -> dict[str, Any]:
    if rule.get("IpProtocol") != ALL_PROTOCOLS:
        return rule
    return {**rule, "FromPort": -1, "ToPort": -1}  # moto requires ports


def _finish(rule: Any, new: dict[str, Any]) -> None:
    """Set what moto's modification leaves out."""
    if new.get("IpProtocol") == ALL_PROTOCOLS:
        rule.from_port = rule.to_port = None
    if new.get("CidrIpv6"):
        rule.ip_range["CidrIpv6"] = new["CidrIpv6"]
    if new.get("ReferencedGroupId"):
        rule.ip_range.pop("Description", None)
        rule.source_group = {
            **rule.source_group,
            "GroupId": new["ReferencedGroupId"],
            "Description": new.get("Description"),
        }
    if new.get("PrefixListId"):
        rule.ip_range.pop("Description", None)
        rule.prefix_list_id = new["PrefixListId"]
        rule.prefix_list_description = new.get("Description")
