"""Cache parameter groups of ElastiCache, which moto 5.2.5 lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.elasticache.exceptions import ElastiCacheException
from moto.elasticache.models import ElastiCacheBackend
from moto.elasticache.responses import ElastiCacheResponse

from .patching import add_operations, around
from .store import Regional

_groups: Regional[dict[str, Any]] = Regional()  # the described group; its values are under PARAMETERS
PARAMETERS = "parameters"

# Defaults of the parameters that fabrics change. AWS has more.
DEFAULTS = {
    "maxmemory-policy": "volatile-lru",
    "notify-keyspace-events": "",
    "timeout": "0",
    "tcp-keepalive": "300",
}
FAMILIES = ("redis6.x", "redis7", "valkey7", "valkey8")


def apply() -> None:
    """Patch moto's ElastiCache with parameter groups and their tags."""
    add_operations(
        ElastiCacheResponse,
        create_cache_parameter_group,
        describe_cache_parameter_groups,
        modify_cache_parameter_group,
        describe_cache_parameters,
        reset_cache_parameter_group,
        delete_cache_parameter_group,
    )

    @around(ElastiCacheBackend, "list_tags_for_resource")
    def list_tags(original: Callable[..., Any], self: Any, arn: str) -> Any:
        if ":parametergroup:" in arn:
            return self.tagging_service.list_tags_for_resource(arn)
        return original(self, arn)


def create_cache_parameter_group(self: Any) -> ActionResult:
    """CreateCacheParameterGroup."""
    name = self._get_param("CacheParameterGroupName").lower()
    if name in _groups.of(self):
        raise ElastiCacheException("CacheParameterGroupAlreadyExists", f"Cache parameter group {name} already exists.")
    family = self._get_param("CacheParameterGroupFamily")
    group = _new(self, name, family, self._get_param("Description"))
    _groups.of(self)[name] = group
    if tags := self._get_param("Tags"):
        self.elasticache_backend.tagging_service.tag_resource(group["ARN"], tags)
    return ActionResult({"CacheParameterGroup": group})


def describe_cache_parameter_groups(self: Any) -> ActionResult:
    """DescribeCacheParameterGroups, including the default groups, in one page."""
    name = self._get_param("CacheParameterGroupName")
    defaults = {f"default.{family}": family for family in FAMILIES}
    if name:
        found = [_group(self, name)]
    else:
        found = [_new(self, each, family, "Default") for each, family in defaults.items()]
        found += _groups.of(self).values()
    return ActionResult({"CacheParameterGroups": found})


def modify_cache_parameter_group(self: Any) -> ActionResult:
    """ModifyCacheParameterGroup."""
    group = _group(self, self._get_param("CacheParameterGroupName"))
    for each in self._get_param("ParameterNameValues", []):
        group[PARAMETERS][each["ParameterName"]] = each["ParameterValue"]
    return ActionResult({"CacheParameterGroupName": group["CacheParameterGroupName"]})


def describe_cache_parameters(self: Any) -> ActionResult:
    """DescribeCacheParameters, filtered by source ("user" or "system"), in one page."""
    given = _group(self, self._get_param("CacheParameterGroupName"))[PARAMETERS]
    values = [(name, value, "user") for name, value in given.items()]
    values += [(name, value, "system") for name, value in DEFAULTS.items() if name not in given]
    source = self._get_param("Source")
    found = [
        {
            "ParameterName": name,
            "ParameterValue": value,
            "Source": origin,
            "IsModifiable": True,
            "DataType": "string",
        }
        for name, value, origin in values
        if source in (None, origin)
    ]
    return ActionResult({"Parameters": found})


def reset_cache_parameter_group(self: Any) -> ActionResult:
    """ResetCacheParameterGroup: reset the given parameters, or all of them, to their defaults."""
    group = _group(self, self._get_param("CacheParameterGroupName"))
    if self._get_bool_param("ResetAllParameters"):
        group[PARAMETERS].clear()
    for each in self._get_param("ParameterNameValues", []):
        group[PARAMETERS].pop(each["ParameterName"], None)
    return ActionResult({"CacheParameterGroupName": group["CacheParameterGroupName"]})


def delete_cache_parameter_group(self: Any) -> EmptyResult:
    """DeleteCacheParameterGroup. Rejected while a replication group uses it."""
    name = _group(self, self._get_param("CacheParameterGroupName"))["CacheParameterGroupName"]
    users = [
        each.replication_group_id
        for each in self.elasticache_backend.replication_groups.values()
        if each.cache_parameter_group_name == name
    ]
    if users or name.startswith("default."):
        raise ElastiCacheException("InvalidCacheParameterGroupState", f"{name} is in use by {users or 'AWS'}.")
    del _groups.of(self)[name]
    return EmptyResult()


def _new(response: Any, name: str, family: str, description: str) -> dict[str, Any]:
    return {
        "CacheParameterGroupName": name,
        "CacheParameterGroupFamily": family,
        "Description": description,
        "IsGlobal": False,
        "ARN": f"arn:aws:elasticache:{response.region}:{response.current_account}:parametergroup:{name}",
        PARAMETERS: {},
    }


def _group(response: Any, name: str) -> dict[str, Any]:
    if name in _groups.of(response):
        return _groups.of(response)[name]
    if name.removeprefix("default.") in FAMILIES and name.startswith("default."):
        return _new(response, name, name.removeprefix("default."), "Default")
    raise ElastiCacheException("CacheParameterGroupNotFound", f"Cache parameter group {name} not found.")
