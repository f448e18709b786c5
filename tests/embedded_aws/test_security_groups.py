"""Security group rules keep their descriptions, whatever they name, and can be modified."""

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
    made = client("ec2").authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
    identifier: str = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    return identifier


@pytest.mark.parametrize("kind", ["cidr", "cidr6", "group", "prefix list"])
def test_a_rules_description_round_trips(client: Client, name: str, network: dict[str, Any], kind: str) -> None:
    prefix_list = client("ec2").create_managed_prefix_list(PrefixListName=name, AddressFamily="IPv4", MaxEntries=2)
    permission = {
        "cidr": {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "told"}]},
        "cidr6": {"Ipv6Ranges": [{"CidrIpv6": "fd00::/8", "Description": "told"}]},
        "group": {"UserIdGroupPairs": [{"GroupId": network["group"], "Description": "told"}]},
        "prefix list": {
            "PrefixListIds": [
                {"PrefixListId": prefix_list["PrefixList"]["PrefixListId"], "Description": "told"},
            ]
        },
    }[kind]
    assert rule_of(client, authorize(client, network["group"], permission))["Description"] == "told"


def test_a_rule_that_names_a_group_can_be_modified(client: Client, network: dict[str, Any]) -> None:
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


def test_a_rule_for_all_protocols_can_be_modified(client: Client, network: dict[str, Any]) -> None:
    ec2 = client("ec2")
    made = ec2.authorize_security_group_egress(
        GroupId=network["group"],
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "before"}]}],
    )
    identifier = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    wanted = {"IpProtocol": "-1", "CidrIpv4": "10.1.0.0/16", "Description": "after"}
    ec2.modify_security_group_rules(
        GroupId=network["group"],
        SecurityGroupRules=[{"SecurityGroupRuleId": identifier, "SecurityGroupRule": wanted}],
    )
    rule = rule_of(client, identifier)
    assert (rule["CidrIpv4"], rule["Description"]) == ("10.1.0.0/16", "after")
