"""Security group rules have descriptions for every kind of source and can be modified."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Client = Callable[[str], Any]


def rule_of(client: Client, identifier: str) -> dict[str, Any]:
    rules = client("ec2").describe_security_group_rules(SecurityGroupRuleIds=[identifier])
    rule: dict[str, Any] = rules["SecurityGroupRules"][0]
    return rule


def authorize(client: Client, group: str, permission: dict[str, Any]) -> str:
    permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **permission}
    created = client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    identifier: str = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return identifier


@pytest.mark.parametrize("kind", ["cidr", "cidr6", "group", "prefix list"])
def test_rule_description_reads_back(client: Client, name: str, network: dict[str, Any], kind: str) -> None:
    prefix_list = client("ec2").create_managed_prefix_list(PrefixListName=name, AddressFamily="IPv4", MaxEntries=2)
    permission = {
        "cidr": {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "text"}]},
        "cidr6": {"Ipv6Ranges": [{"CidrIpv6": "fd00::/8", "Description": "text"}]},
        "group": {"UserIdGroupPairs": [{"GroupId": network["group"], "Description": "text"}]},
        "prefix list": {
            "PrefixListIds": [
                {"PrefixListId": prefix_list["PrefixList"]["PrefixListId"], "Description": "text"},
            ]
        },
    }[kind]
    assert rule_of(client, authorize(client, network["group"], permission))["Description"] == "text"


def test_rule_with_referenced_group_can_be_modified(client: Client, network: dict[str, Any]) -> None:
    ec2 = client("ec2")
    other = ec2.create_security_group(GroupName="other", Description="other", VpcId=network["vpc"])["GroupId"]
    pairs = [{"GroupId": network["group"], "Description": "before"}]
    identifier = authorize(client, network["group"], {"UserIdGroupPairs": pairs})
    wanted = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "ReferencedGroupId": other, "Description": "after"}
    ec2.modify_security_group_rules(
        GroupId=network["group"],
        SecurityGroupRules=[{"SecurityGroupRuleId": identifier, "SecurityGroupRule": wanted}],
    )
    rule = rule_of(client, identifier)
    assert (rule["ReferencedGroupInfo"]["GroupId"], rule["Description"], rule["FromPort"]) == (other, "after", 80)


def test_rule_for_all_protocols_can_be_modified(client: Client, network: dict[str, Any]) -> None:
    ec2 = client("ec2")
    created = ec2.authorize_security_group_egress(
        GroupId=network["group"],
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "before"}]}],
    )
    identifier = created["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    wanted = {"IpProtocol": "-1", "CidrIpv4": "10.1.0.0/16", "Description": "after"}
    ec2.modify_security_group_rules(
        GroupId=network["group"],
        SecurityGroupRules=[{"SecurityGroupRuleId": identifier, "SecurityGroupRule": wanted}],
    )
    rule = rule_of(client, identifier)
    assert (rule["CidrIpv4"], rule["Description"]) == ("10.1.0.0/16", "after")
