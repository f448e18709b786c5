"""The monthly estimate is complete and plausible, and a missing price is never zero."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from ollama_gpu.catalogue import instance_types, prices
from ollama_gpu.core import contract
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import locate
from ollama_gpu.planning import cost as estimate
from ollama_gpu.planning import cost_report
from ollama_gpu.planning.resources import Cache, Database, Resources
from ollama_gpu.terraform import values

WHERE = locate()
AGREED = contract.load(WHERE.contract)
READ = {
    name: values.read(WHERE.terraform / "variables.tf", WHERE.environments / f"{name}.tfvars")
    for name in ("dev", "staging", "prod", "local")
}


def changed(name: str, change: dict[str, Any]) -> dict[str, Any]:
    """An environment's values with some replaced, by dotted path."""
    made = copy.deepcopy(READ[name])
    for place, value in change.items():
        *folders, last = place.split(".")
        inside = made
        for folder in folders:
            inside = inside[folder]
        inside[last] = value
    return made


def planned(found: dict[str, Any], **change: Any) -> Resources:
    """Resources that fit an environment's values; tests/fabric compares those of real plans and states."""
    data, spot = found["data"], found["spot_enabled"]
    database = Database(
        instance_class=data["database_instance_class"],
        storage_gib=data["database_storage_gib"],
        max_storage_gib=data["database_max_storage_gib"],
    )
    return Resources(
        fleets=tuple(sorted(fleet for fleet in found["fleets"] if fleet == "interactive" or spot)),
        databases=(database,),
        caches=(Cache(node_type=data["cache_node_type"], nodes=2),),
        alarm_metrics=36,
        composite_alarms=1,
        dashboards=1,
        interface_endpoints=24,
        kms_keys=3,
        load_balancers=1,
        nat_gateways=3,
        public_addresses=6,
        restore_tests=3,
        scaling_alarm_metrics=10,
        secrets=6,
        waf_rules=4,
        web_acls=1,
    ).model_copy(update=change)


def make(found: dict[str, Any]) -> estimate.Estimate:
    return estimate.make(found, planned(found), AGREED)


def cost(name: str, **change: Any) -> estimate.Estimate:
    return make(changed(name, {place.replace("__", "."): value for place, value in change.items()}))


def month(estimated: estimate.Estimate, what: str) -> float:
    """USD of a usual month for one line."""
    (line,) = (line for line in estimated.lines if line.what == what)
    return line.month.typical


@pytest.mark.parametrize("name", READ)
def test_total_is_the_sum_of_the_lines_and_min_costs_no_more_than_max(name: str) -> None:
    made = cost(name)
    assert made.total.typical == pytest.approx(sum(line.month.typical for line in made.lines))
    assert all(line.month.min <= line.month.typical <= line.month.max for line in made.lines)
    assert all(line.month.max > 0 for line in made.lines), "a line without a cost is useless"


def test_prod_instances_and_volumes_have_the_expected_price() -> None:
    made = cost("prod")
    (fleet,) = made.fleets
    assert fleet.on_demand.min == pytest.approx(2 * 5.672 * 730)
    assert fleet.on_demand.max == pytest.approx(14 * 5.672 * 730)
    volumes = next(line for line in made.lines if line.service == "EBS")
    # 200 GiB, 3000 IOPS and 375 MiB/s above what is included
    assert volumes.month.min == pytest.approx(2 * (200 * 0.08 + 3000 * 0.005 + 375 * 0.04))


def test_dev_is_cheaper_than_staging_and_staging_than_prod() -> None:
    sums = [cost(name).total.typical for name in ("dev", "staging", "prod")]
    assert sums == sorted(sums)


def test_spot_applies_only_above_the_on_demand_base() -> None:
    made = cost("prod", spot_enabled=True, fleets__interactive__spot_percentage=100)
    (fleet,) = made.fleets
    assert fleet.configured.min == pytest.approx(fleet.on_demand.min)  # two instances are the base
    assert fleet.configured.max == pytest.approx(730 * 5.672 * (2 + 12 * 0.8))
    assert fleet.configured == fleet.all_spot_above_base
    without = cost("prod").fleets[0]
    assert without.configured == without.on_demand


def test_typical_month_includes_scale_in_and_the_schedule() -> None:
    made = cost("prod")
    (fleet,) = made.fleets
    assert fleet.sizes.min < fleet.sizes.typical < fleet.sizes.max
    assert made.saved == pytest.approx(fleet.on_demand.max - fleet.on_demand.typical)
    always = cost("prod", fleets__interactive__min_size=14, fleets__interactive__schedule={})
    assert always.saved == pytest.approx(0, abs=1e-6)
    early = {"all_day": {"min_size": 10, "recurrence": "0 0 * * *", "time_zone": "Etc/UTC"}}
    assert cost("prod", fleets__interactive__schedule=early).fleets[0].sizes.typical > fleet.sizes.typical


def test_batch_fleet_costs_only_with_spot() -> None:
    assert {fleet.name for fleet in cost("local").fleets} == {"batch", "interactive"}
    assert [fleet.name for fleet in cost("local", spot_enabled=False).fleets] == ["interactive"]


def test_existing_network_has_no_cost_of_gateways_and_endpoints() -> None:
    found = READ["prod"]
    created = make(found)
    existing = estimate.make(found, planned(found, nat_gateways=0, interface_endpoints=0), AGREED)
    assert {line.what for line in created.lines} - {line.what for line in existing.lines} == {
        "NAT gateways", "through NAT", "interface endpoints x zones", "through endpoints",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("count", "what", "usd_each"),
    [
        ("composite_alarms", "composite alarms", 0.5),
        ("dashboards", "dashboards", 3),
        ("interface_endpoints", "interface endpoints x zones", 7.3),
        ("kms_keys", "keys", 1),
        ("load_balancers", "load balancers", 16.425),
        ("nat_gateways", "NAT gateways", 32.85),
        ("public_addresses", "public IPv4 addresses", 3.65),
        ("secrets", "secrets", 0.4),
        ("waf_rules", "rules and managed groups", 1),
        ("web_acls", "web ACLs", 5),
        ("alarm_metrics", "alarms, by metrics read", 0.1),
        ("scaling_alarm_metrics", "alarms, by metrics read", 0.1),
    ],
)
def test_each_planned_resource_more_adds_its_price(count: str, what: str, usd_each: float) -> None:
    found = READ["prod"]
    resources = planned(found)
    more = resources.model_copy(update={count: getattr(resources, count) + 1})
    difference = month(estimate.make(found, more, AGREED), what) - month(estimate.make(found, resources, AGREED), what)
    assert difference == pytest.approx(usd_each)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("region", "eu-central-1"),
        ("fleets.interactive.instance_types", ["g5.3xlarge"]),
        ("data.database_instance_class", "db.x9.large"),
        ("data.cache_node_type", "cache.x9.large"),
    ],
)
def test_missing_price_is_an_error_that_names_the_item(place: str, value: Any) -> None:
    with pytest.raises(UserError) as refused:
        make(changed("prod", {place: value}))
    assert (value if isinstance(value, str) else value[0]) in refused.value.message
    assert "prices.yaml" in str(refused.value.remedy)


def test_every_supported_instance_type_has_a_price() -> None:
    assert set(instance_types.every()) <= set(prices.load().of("us-east-1").ec2.hourly)


def test_every_rate_is_used_and_every_line_names_its_rate() -> None:
    region = prices.load().of("us-east-1")
    used = {source for name in READ for line in cost(name).lines for source in line.sources}
    assert set(region.rates) <= used
    assert all(line.sources for line in cost("prod").lines)


def test_report_is_valid_json_and_the_table_ends_with_the_sum() -> None:
    made = cost("prod")
    json.dumps(cost_report.values("prod", made), allow_nan=False)
    assert cost_report.rows(made)[-1][1] == "sum"


def test_report_shows_date_source_and_verification_of_every_price() -> None:
    region, shown = prices.load().of("us-east-1"), cost_report.price_rows(cost("prod"))
    assert all(re.match(r"20\d\d-\d\d-\d\d, \S", source) for _, _, source in shown), shown
    said = {name: source for name, _, source in shown}
    for name in said.keys() & region.rates.keys():
        rate = region.rates[name]
        assert str(rate.date) in said[name]
        assert rate.source in said[name]
        assert ("not looked up" in said[name]) == (not rate.seen)
    assert len(said.keys() & region.rates.keys()) > 20
