"""An environment's monthly cost: every paid resource that its variables describe, and what it is assumed to use.

Three columns: the fleets at their smallest all month with little use; a usual month; the fleets at max_size with much
use. A usual month's weekdays are the simulator's, as if their peaks needed max_size; scale-in saves the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ollama_gpu.capacity.day import Day
from ollama_gpu.capacity.scaling import Policies
from ollama_gpu.contract import Contract
from ollama_gpu.cost.prices import HOURS_A_MONTH, Prices, Range, Region, hourly, load, usage

_WEEK = 7
_MONTHS_A_YEAR = 12
_RESTORE_TESTS_A_MONTH = 52 / _MONTHS_A_YEAR  # terraform/modules/backup: weekly
_GP3_IOPS, _GP3_MIBS = 3000, 125  # included in a gp3 volume
_INTERFACE_ENDPOINTS = 8  # terraform/modules/network/endpoints.tf
_WAF_RULES = 4  # terraform/modules/edge/waf.tf: the rate, and three managed groups
_KMS_KEYS = 3  # terraform/modules/data/keys.tf: compute, data, logs
_RESTORE_TEST_KINDS = 3  # terraform/modules/backup/restore_testing.tf: EFS, RDS, S3
# terraform/modules/observability, fleet/wake.tf; a test counts them in plans. An alarm is paid by the metrics it reads.
_ALARM_METRICS_ALL, _ALARM_METRICS_FLEET, _ALARM_METRICS_WAKE = 19, 17, 2
_TRACKING_METRICS_FLEET = 10  # Auto Scaling's own alarms: high and low of CPU (1), requests (1), inference load (3)
_MODELS_TYPICAL = 2  # metrics by model: a chat model and an embedding model


@dataclass(frozen=True)
class Line:
    """USD in three months; ``sources`` are rates of prices.yaml by name, or a source in words."""

    service: str
    what: str
    quantity: str
    month: Range
    sources: tuple[str, ...]


@dataclass(frozen=True)
class FleetCost:
    """One fleet's instances. Sizes are means over the month; USD a month on demand and as it is configured."""

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
    """``saved`` is what scale-in saves in a usual month against max_size all the time."""

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


def make(values: dict[str, Any], contract: Contract) -> Estimate:
    """The estimate by an environment's variables (ollama_gpu.terraform.values).

    Raises UserError where a region, an instance type, a database class or a cache node has no price.
    """
    prices = load()
    region = prices.of(values["region"])
    fleets = tuple(_fleet(name, fleet, values, region, prices) for name, fleet in serving_fleets(values).items())
    lines = (
        *_compute(values, fleets, region),
        *_network(values, region),
        *_edge(region),
        *_data(values, region),
        *_backup(values, region),
        *_watching(values, fleets, contract, region),
        *_keys(contract, region),
    )
    return Estimate(values["region"], lines, fleets, prices)


def serving_fleets(values: dict[str, Any]) -> dict[str, Any]:
    """The fleets that exist: terraform/locals.tf makes batch only with spot."""
    return {name: fleet for name, fleet in values["fleets"].items() if name == "interactive" or values["spot_enabled"]}


def described(values: dict[str, Any], contract: Contract) -> dict[str, int]:
    """How many of each paid resource there are, by Terraform's type; a test counts them in plans."""
    zones, nats, new = _zones(values), _nats(values), values["network"]["existing"] is None
    fleets = serving_fleets(values)
    return {
        "aws_autoscaling_group": len(fleets),
        "aws_backup_restore_testing_selection": _RESTORE_TEST_KINDS if values["data"]["restore_testing"] else 0,
        "aws_cloudwatch_composite_alarm": 1,
        "aws_cloudwatch_dashboard": 1,
        "aws_db_instance": 1,
        "aws_efs_file_system": 1,
        "aws_eip": nats,
        "aws_elasticache_replication_group": 1,
        "aws_kms_key": _KMS_KEYS,
        "aws_lb": 1,
        "aws_nat_gateway": nats,
        "aws_s3_bucket": 2,
        "aws_secretsmanager_secret": len(contract.secrets),
        "aws_subnet": 3 * zones if new else 0,
        "aws_vpc_endpoint": _INTERFACE_ENDPOINTS + 1 if new else 0,  # and the free one to S3
        "aws_wafv2_web_acl": 1,
    }


def alarm_metrics(values: dict[str, Any]) -> int:
    """Metrics that the environment's own alarms read: each is paid."""
    fleets = serving_fleets(values)
    waking = sum(fleet["min_size"] == 0 for fleet in fleets.values())
    return int(_ALARM_METRICS_ALL + _ALARM_METRICS_FLEET * len(fleets) + _ALARM_METRICS_WAKE * waking)


def mean_size(fleet: dict[str, Any]) -> float:
    """Mean of a fleet's size in a usual month: working days as the simulator's, weekends at the minimum."""
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


def _network(values: dict[str, Any], region: Region) -> list[Line]:
    nats, zones = _nats(values), _zones(values)
    addresses = nats + (0 if values["edge"]["internal"] else zones)
    interfaces = _INTERFACE_ENDPOINTS * zones if values["network"]["existing"] is None else 0
    lines = [
        _always("EC2", "public IPv4 addresses", addresses, "ipv4_hour", HOURS_A_MONTH, region),
        _used("EC2", "transfer to the internet", "egress_gb", "egress_gb", region),
        _used("EC2", "transfer between zones", "between_zones_gb", "between_zones_gb", region),
    ]
    if nats:
        lines += [
            _always("VPC", "NAT gateways", nats, "nat_hour", HOURS_A_MONTH, region),
            _used("VPC", "through NAT", "nat_gb", "nat_gb", region),
        ]
    if interfaces:
        lines += [
            _always("VPC", "interface endpoints x zones", interfaces, "endpoint_zone_hour", HOURS_A_MONTH, region),
            _used("VPC", "through endpoints", "endpoint_gb", "endpoint_gb", region),
        ]
    return lines


def _edge(region: Region) -> list[Line]:
    return [
        _always("ELB", "load balancers", 1, "alb_hour", HOURS_A_MONTH, region),
        _used("ELB", "capacity units", "alb_lcus", "alb_lcu_hour", region, HOURS_A_MONTH),
        _always("WAF", "web ACLs", 1, "waf_acl_month", 1, region),
        _always("WAF", "rules and managed groups", _WAF_RULES, "waf_rule_month", 1, region),
        _used("WAF", "million requests", "million_requests", "waf_million_requests", region),
    ]


def _data(values: dict[str, Any], region: Region) -> list[Line]:
    data, name = values["data"], values["region"]
    database = hourly(region.rds_multi_az, data["database_instance_class"], name) * HOURS_A_MONTH
    cache = hourly(region.elasticache_valkey, data["cache_node_type"], name) * HOURS_A_MONTH
    nodes = data["cache_replicas"] + 1
    return [
        Line(
            "RDS",
            "PostgreSQL, Multi-AZ",
            data["database_instance_class"],
            _flat(database),
            (region.rds_multi_az.source,),
        ),
        Line(
            "RDS",
            "storage, gp3, grows by itself",
            f"{data['database_storage_gib']} to {data['database_max_storage_gib']} GiB",
            Range(
                min=data["database_storage_gib"] * region.rates["rds_gb_month_multi_az"].usd,
                typical=data["database_storage_gib"] * region.rates["rds_gb_month_multi_az"].usd,
                max=data["database_max_storage_gib"] * region.rates["rds_gb_month_multi_az"].usd,
            ),
            ("rds_gb_month_multi_az",),
        ),
        Line(
            "ElastiCache",
            "Valkey nodes",
            f"{nodes} x {data['cache_node_type']}",
            _flat(nodes * cache),
            (region.elasticache_valkey.source,),
        ),
        _used("EFS", "models, stored", "models_gb", "efs_gb_month", region),
        _used("S3", "models, stored", "models_gb", "s3_gb_month", region),
        _used("S3", "uploads, stored", "uploads_gb", "s3_gb_month", region),
    ]


def _backup(values: dict[str, Any], region: Region) -> list[Line]:
    lines = [
        _used("Backup", "file system", "models_gb", "backup_gb_month", region),
        _used("Backup", "uploads", "uploads_gb", "backup_gb_month", region),
        _used("Backup", "database", "rds_backup_gb", "rds_backup_gb_month", region),
    ]
    if values["data"]["restore_testing"]:
        tests = _RESTORE_TEST_KINDS * _RESTORE_TESTS_A_MONTH
        lines.append(_always("Backup", "restore tests", round(tests, 1), "restore_test", 1, region))
    return lines


def _watching(values: dict[str, Any], fleets: tuple[FleetCost, ...], contract: Contract, region: Region) -> list[Line]:
    alarms = alarm_metrics(values) + _TRACKING_METRICS_FLEET * len(fleets)
    made = [metric for metric in contract.metrics.names.values() if metric.made_by != "metric_math"]
    sets = [dimensions for metric in made for dimensions in metric.dimensions]
    of_instances = sum("InstanceId" in dimensions for dimensions in sets)
    of_models = sum("Model" in dimensions for dimensions in sets)
    of_fleets = len(sets) - of_instances - of_models
    fixed = len(fleets) * (of_fleets + _MODELS_TYPICAL * of_models)
    # a metric of an instance is paid for the hours in which it reports
    sizes = _sum([fleet.sizes for fleet in fleets])
    metrics = _map(sizes, lambda size: fixed + of_instances * size)
    price = region.rates["custom_metric_month"].usd
    counted = f"{metrics.min:.0f} / {metrics.typical:.0f} / {metrics.max:.0f}"
    return [
        _always("CloudWatch", "alarms, by metrics read", alarms, "alarm_metric_month", 1, region),
        _always("CloudWatch", "composite alarms", 1, "composite_alarm_month", 1, region),
        _always("CloudWatch", "dashboards", 1, "dashboard_month", 1, region),
        Line("CloudWatch", "metrics of our own", counted, _times(metrics, price), ("custom_metric_month",)),
        _used("CloudWatch", "logs, taken in", "log_gb", "log_gb", region),
        _used("CloudWatch", "logs, kept", "log_gb_kept", "log_gb_month", region),
    ]


def _keys(contract: Contract, region: Region) -> list[Line]:
    return [
        _always("KMS", "keys", _KMS_KEYS, "kms_key_month", 1, region),
        # and the one that RDS makes for its master
        _always("Secrets Manager", "secrets", len(contract.secrets) + 1, "secret_month", 1, region),
    ]


def _always(service: str, what: str, count: float, rate: str, units: float, region: Region) -> Line:
    return Line(service, what, f"{count:g}", _flat(count * units * region.rates[rate].usd), (rate,))


def _used(service: str, what: str, use: str, rate: str, region: Region, units: float = 1) -> Line:
    assumed = usage()[use]
    month = _times(assumed, units * region.rates[rate].usd)
    return Line(service, what, f"{assumed.min:g} / {assumed.typical:g} / {assumed.max:g}, assumed", month, (rate,))


def _zones(values: dict[str, Any]) -> int:
    network = values["network"]
    return len(network["zones"] or range(int(network["zone_count"])))


def _nats(values: dict[str, Any]) -> int:
    network = values["network"]
    if network["existing"] is not None:
        return 0
    return _zones(values) if network["nat_per_zone"] else 1


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
