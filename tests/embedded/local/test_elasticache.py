"""ElastiCache: replication groups with members, AUTH tokens, parameter and subnet groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]

FIRST, SECOND = "first-token-of-16-or-more", "second-token-of-16-or-more"


def create(client: Client, name: str, **more: Any) -> dict[str, Any]:
    client("elasticache").create_replication_group(
        ReplicationGroupId=name,
        ReplicationGroupDescription="test",
        Engine=more.pop("Engine", "valkey"),
        CacheNodeType="cache.t4g.small",
        NumCacheClusters=3,
        AutomaticFailoverEnabled=True,
        MultiAZEnabled=True,
        TransitEncryptionEnabled=True,
        AtRestEncryptionEnabled=True,
        **more,
    )
    return describe(client, name)


def describe(client: Client, name: str) -> dict[str, Any]:
    groups = client("elasticache").describe_replication_groups(ReplicationGroupId=name)["ReplicationGroups"]
    group: dict[str, Any] = groups[0]
    return group


def modify(client: Client, name: str, **more: Any) -> dict[str, Any]:
    client("elasticache").modify_replication_group(ReplicationGroupId=name, ApplyImmediately=True, **more)
    return describe(client, name)


@pytest.mark.parametrize("engine", ["redis", "valkey"])
def test_replication_group_has_requested_members(client: Client, name: str, engine: str) -> None:
    group = create(client, name, Engine=engine, Tags=[{"Key": "Project", "Value": "x"}])
    assert group["MemberClusters"] == [f"{name}-00{index}" for index in (1, 2, 3)]
    roles = [each["CurrentRole"] for each in group["NodeGroups"][0]["NodeGroupMembers"]]
    assert roles == ["primary", "replica", "replica"]
    for member in group["MemberClusters"]:
        [cluster] = client("elasticache").describe_cache_clusters(CacheClusterId=member)["CacheClusters"]
        assert (cluster["ReplicationGroupId"], cluster["Engine"]) == (name, engine)
        assert cluster["TransitEncryptionEnabled"]
    tags = client("elasticache").list_tags_for_resource(ResourceName=group["ARN"])["TagList"]
    assert tags == [{"Key": "Project", "Value": "x"}]


def test_replication_group_is_deleted_with_its_members(client: Client, name: str) -> None:
    create(client, name)
    client("elasticache").delete_replication_group(ReplicationGroupId=name)
    with pytest.raises(ClientError, match="ReplicationGroupNotFoundFault"):
        describe(client, name)
    with pytest.raises(ClientError, match="CacheClusterNotFound"):
        client("elasticache").describe_cache_clusters(CacheClusterId=f"{name}-001")


def test_modified_settings_apply_to_group_and_members(client: Client, name: str) -> None:
    create(client, name)
    group = modify(client, name, SnapshotWindow="02:00-03:00", ReplicationGroupDescription="new")
    [member] = client("elasticache").describe_cache_clusters(CacheClusterId=f"{name}-001")["CacheClusters"]
    assert (group["SnapshotWindow"], group["Description"]) == ("02:00-03:00", "new")
    assert member["SnapshotWindow"] == "02:00-03:00"


def test_auth_token_can_be_set_rotated_and_deleted(client: Client, name: str) -> None:
    assert create(client, name)["AuthTokenEnabled"] is False
    assert modify(client, name, AuthToken=FIRST, AuthTokenUpdateStrategy="ROTATE")["AuthTokenEnabled"] is True
    assert modify(client, name, AuthToken=FIRST, AuthTokenUpdateStrategy="SET")["AuthTokenEnabled"] is True
    assert modify(client, name, AuthToken=SECOND, AuthTokenUpdateStrategy="ROTATE")["AuthTokenEnabled"] is True
    assert modify(client, name, AuthTokenUpdateStrategy="DELETE")["AuthTokenEnabled"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AuthToken": FIRST, "AuthTokenUpdateStrategy": "SET"}, "only after ROTATE"),
        ({"AuthToken": "short", "AuthTokenUpdateStrategy": "ROTATE"}, "16 to 128"),
        ({"AuthToken": "under_score_is_not_allowed", "AuthTokenUpdateStrategy": "ROTATE"}, "16 to 128"),
        ({"AuthTokenUpdateStrategy": "SET"}, "requires an AuthToken"),
    ],
)
def test_invalid_auth_token_change_is_rejected(client: Client, name: str, change: dict[str, str], message: str) -> None:
    create(client, name)
    with pytest.raises(ClientError, match=message):
        modify(client, name, **change)
    assert describe(client, name)["AuthTokenEnabled"] is False


def test_auth_token_requires_encryption_in_transit(client: Client, name: str) -> None:
    with pytest.raises(ClientError, match="encryption in transit"):
        client("elasticache").create_replication_group(
            ReplicationGroupId=name, ReplicationGroupDescription="test", AuthToken=FIRST
        )


def test_parameter_group_reads_back(client: Client, name: str) -> None:
    cache = client("elasticache")
    tags = [{"Key": "Project", "Value": "x"}]
    created = cache.create_cache_parameter_group(
        CacheParameterGroupName=name, CacheParameterGroupFamily="valkey8", Description="test", Tags=tags
    )
    arn = created["CacheParameterGroup"]["ARN"]
    values = [{"ParameterName": "maxmemory-policy", "ParameterValue": "noeviction"}]
    cache.modify_cache_parameter_group(CacheParameterGroupName=name, ParameterNameValues=values)
    [group] = cache.describe_cache_parameter_groups(CacheParameterGroupName=name)["CacheParameterGroups"]
    assert (group["CacheParameterGroupFamily"], group["Description"]) == ("valkey8", "test")
    own = cache.describe_cache_parameters(CacheParameterGroupName=name, Source="user")["Parameters"]
    assert [(each["ParameterName"], each["ParameterValue"]) for each in own] == [("maxmemory-policy", "noeviction")]
    assert cache.list_tags_for_resource(ResourceName=arn)["TagList"] == tags
    cache.reset_cache_parameter_group(CacheParameterGroupName=name, ParameterNameValues=values)
    assert cache.describe_cache_parameters(CacheParameterGroupName=name, Source="user")["Parameters"] == []
    cache.delete_cache_parameter_group(CacheParameterGroupName=name)
    with pytest.raises(ClientError, match="CacheParameterGroupNotFound"):
        cache.describe_cache_parameter_groups(CacheParameterGroupName=name)


def test_parameter_group_in_use_cannot_be_deleted(client: Client, name: str) -> None:
    client("elasticache").create_cache_parameter_group(
        CacheParameterGroupName=name, CacheParameterGroupFamily="valkey8", Description="test"
    )
    create(client, name, CacheParameterGroupName=name)
    with pytest.raises(ClientError, match="InvalidCacheParameterGroupState"):
        client("elasticache").delete_cache_parameter_group(CacheParameterGroupName=name)


def test_subnet_group_in_use_cannot_be_deleted(client: Client, name: str, network: dict[str, Any]) -> None:
    cache = client("elasticache")
    cache.create_cache_subnet_group(
        CacheSubnetGroupName=name, CacheSubnetGroupDescription="test", SubnetIds=network["subnets"][:1]
    )
    cache.modify_cache_subnet_group(CacheSubnetGroupName=name, SubnetIds=network["subnets"])
    [group] = cache.describe_cache_subnet_groups(CacheSubnetGroupName=name)["CacheSubnetGroups"]
    assert sorted(each["SubnetIdentifier"] for each in group["Subnets"]) == sorted(network["subnets"])
    create(client, name, CacheSubnetGroupName=name)
    with pytest.raises(ClientError, match="CacheSubnetGroupInUse"):
        cache.delete_cache_subnet_group(CacheSubnetGroupName=name)
    cache.delete_replication_group(ReplicationGroupId=name)
    cache.delete_cache_subnet_group(CacheSubnetGroupName=name)
    with pytest.raises(ClientError, match="CacheSubnetGroupNotFoundFault"):
        cache.describe_cache_subnet_groups(CacheSubnetGroupName=name)
