"""Estimate an environment's monthly cost: every paid resource that Terraform plans, and its assumed use.

There are three columns: fleets at min_size all month with low use, a typical month, and fleets at max_size with high
use. The weekdays of a typical month follow the simulator's day, with peaks that need max_size.
Counts come from the plan (`planning.resources`), fleet sizes and volumes from the variables, use from usage.yaml.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.catalogue.prices import HOURS_A_MONTH, Prices, Region, hourly, load
from ollama_gpu.core.contract import Contract
from ollama_gpu.planning import usage
from ollama_gpu.planning.day import Day
from ollama_gpu.planning.resources import Resources
from ollama_gpu.planning.scaling import Policies
from ollama_gpu.planning.usage import Range

_WEEK = 7
_MONTHS_A_YEAR = 12
_RESTORE_TESTS_A_MONTH = 52 / _MONTHS_A_YEAR  # terraform/modules/backup: weekly
_GP3_IOPS, _GP3_MIBS = 3000, 125  # included in a gp3 volume
_MODELS_TYPICAL = 2  # metrics by model: a chat model and an embedding model


@dataclass(frozen=True)
class Line:
    """One line of the estimate, in USD a month. ``sources`` names rates of prices.yaml, or a source in words."""

    service: str
    what: str
    quantity: str
    month: Range
    sources: tuple[str, ...]


@dataclass(frozen=True)
class FleetCost:
    """One fleet's instances: mean sizes over the month, and USD a month on demand and as configured."""

    name: str
    instance_type: str
    hourly: float
    sizes: Range
    spot_sizes: Range
    on_demand: Range
    configured: Range
    all_spot_above_base: Range


@dataclass(frozen=True)
class Estimate:
    """An estimate. ``saved`` is what scale-in saves in a typical month compared with a constant max_size."""

    region: str
    lines: tuple[Line, ...]
    fleets: tuple[FleetCost, ...]
    prices: Prices

    @property
    def total(self) -> Range:
        return _sum([line.month for line in self.lines])

    @property
    def saved(self) -> float:
        return sum(fleet.on_demand.max - fleet.on_demand.typical for fleet in self.fleets)


def make(values: dict[str, Any], resources: Resources, contract: Contract) -> Estimate:
    """Estimate by an environment's variables (ollama_gpu.terraform.values) and planned resources.

    Raises UserError when a region, an instance type, a database class or a cache node has no price.
    """
    prices = load()
    region = prices.of(values["region"])
    fleets = tuple(_fleet(name, values["fleets"][name], values, region, prices) for name in resources.fleets)
    lines = (
        *_compute(values, fleets, region),
        *_network(resources, region),
        *_edge(resources, region),
        *_data(resources, values["region"], region),
        *_backup(resources, region),
        *_observability(resources, fleets, contract, region),
        *_keys(resources, region),
    )
    return Estimate(values["region"], lines, fleets, prices)


def mean_size(fleet: dict[str, Any]) -> float:
    """A fleet's mean size in a typical month: working days as in the simulator, weekends at the minimum."""
    day = Day(0, 1000)
    total = 0.0
    for weekday in range(_WEEK):
        policies = Policies.of(fleet, datetime(2026, 11, 23 + weekday, tzinfo=UTC))  # 2026-11-23 is a Monday
        for hour in range(24):
            share = day.users(hour * 3600 + 1800) / 1000 if weekday < 5 else 0.0
            total += max(policies.minimum(hour * 3600 + 1800), math.ceil(share * fleet["max_size"]))
    return total / (24 * _WEEK)


def _fleet(name: str, fleet: dict[str, Any], values: dict[str, Any], region: Region, prices: Prices) -> FleetCost:
    kind = fleet["instance_types"][0]
    each = hourly(region.ec2, kind, values["region"]) * HOURS_A_MONTH
    sizes = Range(min=fleet["min_size"], typical=round(mean_size(fleet), 2), max=fleet["max_size"])
    base, percent = (fleet["on_demand_base"], fleet["spot_percentage"]) if name == "interactive" else (0, 100)
    above = _map(sizes, lambda size: max(0.0, size - base))
    spot = _times(above, percent / 100)
    share = prices.spot_share

    def mixed(spot_sizes: Range) -> Range:
        return Range(
            min=each * (sizes.min - spot_sizes.min * (1 - share.min)),
            typical=each * (sizes.typical - spot_sizes.typical * (1 - share.typical)),
            max=each * (sizes.max - spot_sizes.max * (1 - share.max)),
        )

    return FleetCost(
        name=name,
        instance_type=kind,
        hourly=each / HOURS_A_MONTH,
        sizes=sizes,
        spot_sizes=spot,
        on_demand=_times(sizes, each),
        configured=mixed(spot),
        all_spot_above_base=mixed(above),
    )


def _compute(values: dict[str, Any], fleets: tuple[FleetCost, ...], region: Region) -> list[Line]:
    lines = []
    for fleet in fleets:
        source = f"{region.ec2.source}, {region.ec2.date}"
        spot = ", some spot" if fleet.spot_sizes.max else ""
        quantity = f"{fleet.sizes.min:g} / {fleet.sizes.typical:g} / {fleet.sizes.max:g} x {fleet.instance_type}{spot}"
        lines.append(Line("EC2", f"instances of {fleet.name}", quantity, fleet.configured, (source,)))
        volume = values["fleets"][fleet.name]["root_volume"]
        rates = ("ebs_gb_month", "ebs_iops_month", "ebs_mibs_month")
        a_volume = (
            volume["size_gib"] * region.rates["ebs_gb_month"].usd
            + max(0, volume["iops"] - _GP3_IOPS) * region.rates["ebs_iops_month"].usd
            + max(0, volume["throughput_mibs"] - _GP3_MIBS) * region.rates["ebs_mibs_month"].usd
        )
        what = f"{volume['size_gib']} GiB gp3, {volume['iops']} IOPS, {volume['throughput_mibs']} MiB/s each"
        lines.append(Line("EBS", f"volumes of {fleet.name}", what, _times(fleet.sizes, a_volume), rates))
    return lines


def _network(resources: Resources, region: Region) -> list[Line]:
    lines = [
        _always("EC2", "public IPv4 addresses", resources.public_addresses, "ipv4_hour", HOURS_A_MONTH, region),
        _used("EC2", "transfer to the internet", "egress_gb", "egress_gb", region),
        _used("EC2", "transfer between zones", "between_zones_gb", "between_zones_gb", region),
    ]
    if resources.nat_gateways:
        lines += [
            _always("VPC", "NAT gateways", resources.nat_gateways, "nat_hour", HOURS_A_MONTH, region),
            _used("VPC", "through NAT", "nat_gb", "nat_gb", region),
        ]
    if endpoints := resources.interface_endpoints:
        lines += [
            _always("VPC", "interface endpoints x zones", endpoints, "endpoint_zone_hour", HOURS_A_MONTH, region),
            _used("VPC", "through endpoints", "endpoint_gb", "endpoint_gb", region),
        ]
    return lines


def _edge(resources: Resources, region: Region) -> list[Line]:
    return [
        _always("ELB", "load balancers", resources.load_balancers, "alb_hour", HOURS_A_MONTH, region),
        _used("ELB", "capacity units", "alb_lcus", "alb_lcu_hour", region, HOURS_A_MONTH),
        _always("WAF", "web ACLs", resources.web_acls, "waf_acl_month", 1, region),
        _always("WAF", "rules and managed groups", resources.waf_rules, "waf_rule_month", 1, region),
        _used("WAF", "million requests", "million_requests", "waf_million_requests", region),
    ]


def _data(resources: Resources, name: str, region: Region) -> list[Line]:
    lines = []
    for database in resources.databases:
        price = hourly(region.rds_multi_az, database.instance_class, name) * HOURS_A_MONTH
        stored = region.rates["rds_gb_month_multi_az"].usd
        sizes = Range(min=database.storage_gib, typical=database.storage_gib, max=database.max_storage_gib)
        lines += [
            Line("RDS", "PostgreSQL, Multi-AZ", database.instance_class, _flat(price), (region.rds_multi_az.source,)),
            Line(
                "RDS",
                "storage, gp3, grows by itself",
                f"{database.storage_gib} to {database.max_storage_gib} GiB",
                _times(sizes, stored),
                ("rds_gb_month_multi_az",),
            ),
        ]
    for cache in resources.caches:
        price = cache.nodes * hourly(region.elasticache_valkey, cache.node_type, name) * HOURS_A_MONTH
        quantity = f"{cache.nodes} x {cache.node_type}"
        lines.append(Line("ElastiCache", "Valkey nodes", quantity, _flat(price), (region.elasticache_valkey.source,)))
    return [
        *lines,
        _used("EFS", "models, stored", "models_gb", "efs_gb_month", region),
        _used("S3", "models, stored", "models_gb", "s3_gb_month", region),
        _used("S3", "uploads, stored", "uploads_gb", "s3_gb_month", region),
    ]


def _backup(resources: Resources, region: Region) -> list[Line]:
    lines = [
        _used("Backup", "file system", "models_gb", "backup_gb_month", region),
        _used("Backup", "uploads", "uploads_gb", "backup_gb_month", region),
        _used("Backup", "database", "rds_backup_gb", "rds_backup_gb_month", region),
    ]
    if resources.restore_tests:
        tests = resources.restore_tests * _RESTORE_TESTS_A_MONTH
        lines.append(_always("Backup", "restore tests", round(tests, 1), "restore_test", 1, region))
    return lines


def _observability(
    resources: Resources, fleets: tuple[FleetCost, ...], contract: Contract, region: Region
) -> list[Line]:
    alarms = resources.alarm_metrics + resources.scaling_alarm_metrics
    published = [metric for metric in contract.metrics.names.values() if metric.made_by != "metric_math"]
    sets = [dimensions for metric in published for dimensions in metric.dimensions]
    of_instances = sum("InstanceId" in dimensions for dimensions in sets)
    of_models = sum("Model" in dimensions for dimensions in sets)
    of_fleets = len(sets) - of_instances - of_models
    fixed = len(fleets) * (of_fleets + _MODELS_TYPICAL * of_models)
    # CloudWatch bills an instance's metric for the hours in which the instance reports it
    sizes = _sum([fleet.sizes for fleet in fleets])
    metrics = _map(sizes, lambda size: fixed + of_instances * size)
    price = region.rates["custom_metric_month"].usd
    counted = f"{metrics.min:.0f} / {metrics.typical:.0f} / {metrics.max:.0f}"
    return [
        _always("CloudWatch", "alarms, by metrics read", alarms, "alarm_metric_month", 1, region),
        _always("CloudWatch", "composite alarms", resources.composite_alarms, "composite_alarm_month", 1, region),
        _always("CloudWatch", "dashboards", resources.dashboards, "dashboard_month", 1, region),
        Line("CloudWatch", "metrics of our own", counted, _times(metrics, price), ("custom_metric_month",)),
        _used("CloudWatch", "logs, taken in", "log_gb", "log_gb", region),
        _used("CloudWatch", "logs, kept", "log_gb_kept", "log_gb_month", region),
    ]


def _keys(resources: Resources, region: Region) -> list[Line]:
    return [
        _always("KMS", "keys", resources.kms_keys, "kms_key_month", 1, region),
        _always("Secrets Manager", "secrets", resources.secrets, "secret_month", 1, region),
    ]


def _always(service: str, what: str, count: float, rate: str, units: float, region: Region) -> Line:
    return Line(service, what, f"{count:g}", _flat(count * units * region.rates[rate].usd), (rate,))


def _used(service: str, what: str, use: str, rate: str, region: Region, units: float = 1) -> Line:
    assumed = usage.load()[use]
    month = _times(assumed, units * region.rates[rate].usd)
    return Line(service, what, f"{assumed.min:g} / {assumed.typical:g} / {assumed.max:g}, assumed", month, (rate,))


def _flat(amount: float) -> Range:
    return Range(min=amount, typical=amount, max=amount)


def _map(given: Range, change: Callable[[float], float]) -> Range:
    return Range(min=change(given.min), typical=change(given.typical), max=change(given.max))


def _times(given: Range, factor: float) -> Range:
    return _map(given, lambda amount: amount * factor)


def _sum(ranges: list[Range]) -> Range:
    return Range(
        min=sum(each.min for each in ranges),
        typical=sum(each.typical for each in ranges),
        max=sum(each.max for each in ranges),
    )
