"""The monthly estimate: complete, in proportion, and never a silent zero."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from ollama_gpu import contract, instance_types
from ollama_gpu.cost import estimate, prices, report
from ollama_gpu.errors import UserError
from ollama_gpu.paths import locate
from ollama_gpu.terraform import values

WHERE = locate()
AGREED = contract.load(WHERE.contract)
READ = {
    name: values.read(WHERE.terraform / "variables.tf", WHERE.environments / f"{name}.tfvars")
    for name in ("dev", "staging", "prod", "local")
}


def changed(name: str, change: dict[str, Any]) -> dict[str, Any]:
    """An environment's values with some replaced, by dotted place."""
    made = copy.deepcopy(READ[name])
    for place, value in change.items():
        *folders, last = place.split(".")
        inside = made
        for folder in folders:
            inside = inside[folder]
        inside[last] = value
    return made


def cost(name: str, **change: Any) -> estimate.Estimate:
    return estimate.make(changed(name, {place.replace("__", "."): value for place, value in change.items()}), AGREED)


@pytest.mark.parametrize("name", READ)
def test_the_sum_is_the_sum_of_its_lines_and_a_month_at_least_is_not_dearer_than_at_most(name: str) -> None:
    made = cost(name)
    assert made.total.typical == pytest.approx(sum(line.month.typical for line in made.lines))
    assert all(line.month.min <= line.month.typical <= line.month.max for line in made.lines)
    assert all(line.month.max > 0 for line in made.lines), "a line that can cost nothing says nothing"


def test_prods_instances_are_priced_by_hand() -> None:
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


def test_spot_is_a_range_below_on_demand_and_never_of_the_base() -> None:
    made = cost("prod", spot_enabled=True, fleets__interactive__spot_percentage=100)
    (fleet,) = made.fleets
    assert fleet.configured.min == pytest.approx(fleet.on_demand.min)  # two instances are the base
    assert fleet.configured.max == pytest.approx(730 * 5.672 * (2 + 12 * 0.8))
    assert fleet.configured == fleet.all_spot_above_base
    without = cost("prod").fleets[0]
    assert without.configured == without.on_demand


def test_scale_in_and_the_schedule_are_seen_in_a_usual_month() -> None:
    made = cost("prod")
    (fleet,) = made.fleets
    assert fleet.sizes.min < fleet.sizes.typical < fleet.sizes.max
    assert made.saved == pytest.approx(fleet.on_demand.max - fleet.on_demand.typical)
    always = cost("prod", fleets__interactive__min_size=14, fleets__interactive__schedule={})
    assert always.saved == pytest.approx(0, abs=1e-6)
    early = {"all_day": {"min_size": 10, "recurrence": "0 0 * * *", "time_zone": "Etc/UTC"}}
    assert cost("prod", fleets__interactive__schedule=early).fleets[0].sizes.typical > fleet.sizes.typical


def test_a_batch_fleet_costs_only_where_spot_is_on() -> None:
    assert {fleet.name for fleet in cost("local").fleets} == {"batch", "interactive"}
    assert [fleet.name for fleet in cost("local", spot_enabled=False).fleets] == ["interactive"]


def test_an_existing_network_brings_its_own_gateways_and_endpoints() -> None:
    existing = {"vpc_id": "vpc-1", "private_subnet_ids": [], "data_subnet_ids": [], "public_subnet_ids": []}
    ours, theirs = cost("prod"), cost("prod", network__existing=existing)
    assert {line.what for line in ours.lines} - {line.what for line in theirs.lines} == {
        "NAT gateways", "through NAT", "interface endpoints x zones", "through endpoints",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("region", "eu-central-1"),
        ("fleets.interactive.instance_types", ["g5.3xlarge"]),
        ("data.database_instance_class", "db.x9.large"),
        ("data.cache_node_type", "cache.x9.large"),
    ],
)
def test_what_has_no_price_is_named_and_never_free(place: str, value: Any) -> None:
    with pytest.raises(UserError) as refused:
        estimate.make(changed("prod", {place: value}), AGREED)
    assert (value if isinstance(value, str) else value[0]) in refused.value.message
    assert "prices.yaml" in str(refused.value.remedy)


def test_every_type_that_can_be_deployed_has_a_price() -> None:
    assert set(instance_types.every()) <= set(prices.load().of("us-east-1").ec2.hourly)


def test_every_price_that_is_kept_is_used_and_every_line_names_its_price() -> None:
    region = prices.load().of("us-east-1")
    used = {source for name in READ for line in cost(name).lines for source in line.sources}
    assert set(region.rates) <= used
    assert all(line.sources for line in cost("prod").lines)


def test_the_report_is_json_and_ends_with_the_sum() -> None:
    made = cost("prod")
    json.dumps(report.values("prod", made), allow_nan=False)
    assert report.rows(made)[-1][1] == "sum"


def test_every_price_is_shown_with_its_date_and_source_and_whether_it_was_looked_up() -> None:
    region, shown = prices.load().of("us-east-1"), report.price_rows(cost("prod"))
    assert all(re.match(r"20\d\d-\d\d-\d\d, \S", source) for _, _, source in shown), shown
    said = {name: source for name, _, source in shown}
    for name in said.keys() & region.rates.keys():
        rate = region.rates[name]
        assert str(rate.date) in said[name]
        assert rate.source in said[name]
        assert ("not looked up" in said[name]) == (not rate.seen)
    assert len(said.keys() & region.rates.keys()) > 20
