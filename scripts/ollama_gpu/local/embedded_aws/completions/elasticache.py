"""ElastiCache: replication groups with member clusters, rotation of AUTH tokens, subnet and parameter groups.

moto 5.2.5 has these defects: a replication group always has one member; members cannot be described; a modification
drops most settings; a deletion never completes; subnet groups cannot be modified or deleted; parameter groups and the
rotation of AUTH tokens are missing.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import utcnow
from moto.elasticache.exceptions import (
    CacheSubnetGroupNotFound,
    ElastiCacheException,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from moto.elasticache.models import CacheCluster, CacheSubnetGroup, ElastiCacheBackend, ReplicationGroup
from moto.elasticache.responses import ElastiCacheResponse

from . import elasticache_parameter_groups
from .patching import add_operations, around

# Follows: Amazon ElastiCache User Guide, "Authenticating with the AUTH command"
TOKEN = re.compile(r"[A-Za-z0-9!&#$^<>-]+")
LATEST = {"redis": "7.1.0", "valkey": "8.1.0"}

# Parameters of ModifyReplicationGroup that moto ignores, and the attribute of the group for each.
MODIFIABLE = {
    "AutoMinorVersionUpgrade": "auto_minor_version_upgrade",
    "CacheParameterGroupName": "cache_parameter_group_name",
    "EngineVersion": "engine_version",
    "IpDiscovery": "ip_discovery",
    "NotificationTopicArn": "notification_topic_arn",
    "PreferredMaintenanceWindow": "preferred_maintenance_window",
    "SecurityGroupIds": "security_group_ids",
    "SnapshotWindow": "snapshot_window",
    "TransitEncryptionEnabled": "transit_encryption_enabled",
    "TransitEncryptionMode": "transit_encryption_mode",
}


def apply() -> None:
    """Patch moto's ElastiCache."""
    elasticache_parameter_groups.apply()
    add_operations(ElastiCacheResponse, delete_cache_subnet_group, modify_cache_subnet_group)

    @around(ReplicationGroup, "_set_node_members_clusters_disabled")
    def set_members(original: Callable[..., Any], self: Any, **kwargs: Any) -> None:
        kwargs["replicas_per_node_group"] = kwargs["replicas_per_node_group"] or kwargs["num_cache_clusters"] - 1
        original(self, **kwargs)

    @around(ReplicationGroup, "__init__")
    def init(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> None:
        token = kwargs.get("auth_token")
        if token is not None:
            _check_token(token, kwargs.get("transit_encryption_enabled"))
        original(self, *args, **kwargs)
        self.auth_tokens = [token] if token else []
        if self.transit_encryption_enabled and not self.transit_encryption_mode:
            self.transit_encryption_mode = "required"

    @around(ElastiCacheBackend, "create_replication_group")
    def create(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        group = original(self, *args, **kwargs)
        for name in group.member_clusters:
            self.cache_clusters[name] = _member(self, group, name)
            if group.tags:
                self.tagging_service.tag_resource(self.cache_clusters[name].arn, group.tags)
        return group

    @around(ElastiCacheBackend, "delete_replication_group")
    def delete(original: Callable[..., Any], self: Any, replication_group_id: str, *args: Any, **kwargs: Any) -> Any:
        members = list(getattr(self.replication_groups.get(replication_group_id), "member_clusters", []))
        group = original(self, replication_group_id, *args, **kwargs)
        del self.replication_groups[replication_group_id]
        for name in members:
            self.cache_clusters.pop(name, None)
        return group

    @around(ElastiCacheResponse, "modify_replication_group")
    def modify(original: Callable[..., Any], self: Any) -> Any:
        answer = original(self)
        backend = self.elasticache_backend
        group = backend.replication_groups[self._get_param("ReplicationGroupId")]
        _change_token(group, self._get_param("AuthToken"), self._get_param("AuthTokenUpdateStrategy"))
        for parameter, attribute in MODIFIABLE.items():
            value = self._get_param(parameter)
            if value is not None:
                setattr(group, attribute, value)
        logs = self._get_param("LogDeliveryConfigurations")
        if logs is not None:
            _change_log_delivery(group, logs)
        for name in group.member_clusters:
            created = backend.cache_clusters[name].cache_cluster_create_time
            backend.cache_clusters[name] = _member(backend, group, name)
            backend.cache_clusters[name].cache_cluster_create_time = created
        return answer


def delete_cache_subnet_group(self: Any) -> EmptyResult:
    """DeleteCacheSubnetGroup. Rejected while a replication group uses it."""
    backend, name = self.elasticache_backend, self._get_param("CacheSubnetGroupName")
    backend.describe_cache_subnet_groups(name)
    if any(group.cache_subnet_group_name == name for group in backend.replication_groups.values()):
        raise ElastiCacheException("CacheSubnetGroupInUse", f"Cache subnet group {name} is in use.")
    del backend.cache_subnet_groups[name]
    return EmptyResult()


def modify_cache_subnet_group(self: Any) -> ActionResult:
    """ModifyCacheSubnetGroup: description and subnets."""
    backend, name = self.elasticache_backend, self._get_param("CacheSubnetGroupName")
    if name not in backend.cache_subnet_groups:
        raise CacheSubnetGroupNotFound(name)
    old = backend.cache_subnet_groups[name]
    description = self._get_param("CacheSubnetGroupDescription", old.cache_subnet_group_description)
    subnets = self._get_param("SubnetIds") or old.subnet_ids
    new = CacheSubnetGroup(backend.account_id, backend.region_name, name, description, subnets, old.tags)
    backend.cache_subnet_groups[name] = new
    return ActionResult({"CacheSubnetGroup": new})


def _member(backend: Any, group: Any, name: str) -> Any:
    """Create the cache cluster for one node of a replication group."""
    version = group.engine_version or LATEST.get(group.engine, LATEST["redis"])
    version += ".0" if version.count(".") == 1 else ""  # AWS always returns the patch level
    major = version.split(".")[0]
    parameter_group = group.cache_parameter_group_name or f"default.{group.engine}{major}"
    settings = dict.fromkeys(each for each in inspect.signature(CacheCluster.__init__).parameters if each != "self")
    settings.update(
        account_id=backend.account_id,
        region_name=backend.region_name,
        cache_cluster_id=name,
        replication_group_id=group.replication_group_id,
        num_cache_nodes=1,
        cache_node_type=group.cache_node_type,
        engine=group.engine,
        engine_version=version,
        cache_parameter_group_name=parameter_group,
        cache_subnet_group_name=group.cache_subnet_group_name,
        security_group_ids=group.security_group_ids,
        port=group.port,
        notification_topic_arn=group.notification_topic_arn,
        auto_minor_version_upgrade=str(group.auto_minor_version_upgrade).lower() != "false",
        transit_encryption_enabled=group.transit_encryption_enabled,
        preferred_maintenance_window=group.preferred_maintenance_window or "sun:05:00-sun:06:00",
        snapshot_window=group.snapshot_window,
        snapshot_retention_limit=group.snapshot_retention_limit,
        network_type=group.network_type,
        ip_discovery=group.ip_discovery,
    )
    cluster = CacheCluster(**settings)
    # moto sets these only for the engine "redis"
    cluster.num_cache_nodes, cluster.replication_group_id = 1, group.replication_group_id
    cluster.snapshot_window = group.snapshot_window
    cluster.security_groups = [{"SecurityGroupId": each, "Status": "active"} for each in group.security_group_ids or []]
    cluster.cache_parameter_group = {
        "CacheParameterGroupName": parameter_group,
        "ParameterApplyStatus": "in-sync",
    }
    if group.notification_topic_arn:
        cluster.notification_configuration = {
            "TopicArn": group.notification_topic_arn,
            "TopicStatus": "active",
        }
    cluster.transit_encryption_mode = group.transit_encryption_mode
    cluster.log_delivery_configurations = group.log_delivery_configurations
    cluster.at_rest_encryption_enabled = group.at_rest_encryption_enabled
    cluster.auth_token_enabled = group.auth_token_enabled
    return cluster


def _change_token(group: Any, token: str | None, strategy: str | None) -> None:
    """Change AUTH tokens as AWS does: ROTATE adds a token, SET keeps only that token and requires ROTATE first."""
    if token is None and strategy is None:
        return
    strategy = strategy or "ROTATE"
    if strategy == "DELETE":
        group.auth_tokens = []
    elif token is None:
        raise InvalidParameterCombinationException(f"AuthTokenUpdateStrategy {strategy} requires an AuthToken.")
    else:
        _check_token(token, group.transit_encryption_enabled)
        if strategy == "SET":
            if token not in group.auth_tokens:
                raise InvalidParameterCombinationException("SET is allowed only after ROTATE with the same token.")
            group.auth_tokens = [token]
        elif strategy == "ROTATE":
            group.auth_tokens = [*group.auth_tokens[-1:], token]
        else:
            raise InvalidParameterValueException(f"AuthTokenUpdateStrategy {strategy} is not SET, ROTATE or DELETE.")
    group.auth_token_enabled = bool(group.auth_tokens)
    group.auth_token_last_modified_date = utcnow()


def _check_token(token: str, encrypted: bool | None) -> None:
    if not encrypted:
        raise InvalidParameterCombinationException("An AuthToken requires encryption in transit.")
    if not 16 <= len(token) <= 128 or not TOKEN.fullmatch(token):
        raise InvalidParameterValueException(
            "An AuthToken must have 16 to 128 characters: letters, digits and !&#$^<>-."
        )


def _change_log_delivery(group: Any, request: list[dict[str, Any]]) -> None:
    kinds = {each["LogType"] for each in request}
    kept = [each for each in group.log_delivery_configurations if each["LogType"] not in kinds]
    wanted = [each for each in request if str(each.get("Enabled", True)).lower() != "false"]
    group.log_delivery_configurations = kept + group._get_log_delivery_configurations(wanted)
