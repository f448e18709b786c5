"""The planner's sums: the closed loop, what decides, memory that does not fit."""

from __future__ import annotations

import json

import pytest

from ollama_gpu import instance_types, paths
from ollama_gpu.capacity import demand, priors, report, scenario
from ollama_gpu.capacity.scenario import Choices, Scenario
from ollama_gpu.errors import UserError
from ollama_gpu.model_memory import GIB

PATHS = paths.locate()


def prod(**choices: object) -> Scenario:
    return scenario.load(PATHS, "prod", Choices(**{"model": "llama3.1:8b", **choices}))  # type: ignore[arg-type]


def test_streams_are_users_times_the_share_of_time_that_they_wait_for_an_answer() -> None:
    found = prod()
    plan = found.plan(demand.of(3000, 60, 700, 200, found.priors))
    assert plan.streams == pytest.approx(3000 * plan.answer_seconds / (60 + plan.answer_seconds))
    assert plan.chats_per_second == pytest.approx(3000 / (60 + plan.answer_seconds))
    assert plan.instances * plan.host.all_slots * 0.7 >= plan.streams


def test_what_asks_for_most_instances_decides() -> None:
    found = prod()
    plan = found.plan(demand.of(3000, 60, 700, 200, found.priors))
    assert plan.instances == max(plan.needed.values()) == plan.needed[plan.decided_by]
    few = found.plan(demand.of(1, 60, 700, 200, found.priors))
    assert (few.instances, few.decided_by) == (2, "min_size")


def test_the_model_is_the_environments_first_unless_another_is_asked_for() -> None:
    assert scenario.load(PATHS, "prod", Choices()).model.name == "gemma3:4b"
    assert prod().model.name == "llama3.1:8b"


def test_twice_the_users_need_twice_the_slots_and_longer_thinking_needs_fewer() -> None:
    found = prod()
    sizes = [found.plan(demand.of(users, 60, 700, 200, found.priors)).streams for users in (1000, 2000)]
    assert sizes[1] == pytest.approx(2 * sizes[0])
    thinking = found.plan(demand.of(1000, 120, 700, 200, found.priors)).streams
    assert thinking < sizes[0]


def test_slots_and_context_are_the_roles_own_unless_the_inventory_or_the_person_says_otherwise() -> None:
    assert (scenario.load(PATHS, "staging", Choices()).host.slots, prod().host.slots) == (4, 8)
    assert prod().host.context == 8192
    assert (prod(slots=16).host.slots, prod(slots=16).host.queue_limit) == (16, 2 * 16 * 4)
    assert prod().host.processes == 16  # of 48 vCPUs: the role's own bound
    assert prod(instance_type="g5.xlarge").host.processes == 4


def test_prod_as_it_stands_holds_3000_users_with_two_instances_lost() -> None:
    found = scenario.load(PATHS, "prod", Choices())
    values = report.plan_values(found, found.plan(demand.of(3000, None, None, None, found.priors)))
    assert values["first_token_p95_seconds"] < 2
    assert values["instances"] + 2 <= values["max_size"]
    assert values["database_connections"] < found.values["alarms"]["database_connections"]


def test_the_memory_is_a_sum_that_is_shown() -> None:
    found = prod()
    values = report.plan_values(found, found.plan(demand.of(3000, None, None, None, found.priors)))
    memory = values["gpu_memory"]
    parts = sum(memory[part] for part in ("weights_gib", "kv_cache_gib", "buffers_gib", "process_gib"))
    assert parts == pytest.approx(memory["total_gib"], abs=0.03)
    # an 8B's KV cache: 128 KiB a token at f16
    assert memory["kv_cache_gib"] == pytest.approx(8 * 8192 * 128 * 1024 / GIB)
    assert found.slots_that_fit > 8
    with pytest.raises(UserError, match="does not fit"):
        prod(slots=found.slots_that_fit + 1)


def test_a_model_that_no_gpu_of_the_type_holds_is_refused_with_the_sum_and_the_ways_out() -> None:
    with pytest.raises(UserError) as refused:
        prod(model="llama3.1:70b")
    assert "39.58 GiB + KV cache 20.00 GiB" in refused.value.message
    assert "--model" in str(refused.value.remedy)
    with pytest.raises(UserError) as smaller:
        prod(model="gemma3:27b", instance_type="g4dn.xlarge", slots=4)
    assert "A10G" in str(smaller.value.remedy)


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"model": "unheard-of:1b"}, "unheard-of:1b"),
        ({"instance_type": "t3.xlarge"}, "t3.xlarge"),
        ({"slots": 0}, "--slots"),
        ({"max_size": 1}, "min_size"),
    ],
)
def test_what_cannot_be_planned_is_refused_in_a_sentence(choices: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as refused:
        prod(**choices)
    assert says in refused.value.message
    assert refused.value.status == 2


def test_measured_rates_replace_the_prior() -> None:
    found = prod(slots=4, rates=scenario.parse_rates("1:100,4:50"), prompt_rate=3000.0)
    assert found.engine.stream_rates[1:] == pytest.approx((100, (100 + 100 / 3) / 2, (100 + 200 / 3) / 3, 50))
    assert found.engine.prompt_rate == 3000
    with pytest.raises(UserError, match="streams:tokens"):
        scenario.parse_rates("fast")


def test_every_type_that_can_be_deployed_has_a_prior_for_its_gpu() -> None:
    assert {kind.gpus.name.partition(" ")[0] for kind in instance_types.every().values()} <= set(priors.load().gpus)


def test_every_prior_says_where_it_comes_from_and_measured_ones_when() -> None:
    known = priors.load()
    every = [*known.figures.values(), *known.gpus.values(), known.batching, known.webui_added_ms]
    assert all(each.source for each in every)
    assert all(each.date for each in every if each.origin == "measured")


def test_the_report_is_json_and_its_rows_name_the_limit_that_is_broken() -> None:
    found = prod()
    plan = found.plan(demand.of(3000, None, None, None, found.priors))
    json.dumps(report.plan_values(found, plan))
    broken = [row for row in report.plan_rows(found, plan) if row[0] == "does not fit"]
    assert bool(broken) == (plan.instances > found.fleet["max_size"])
    assert not [
        row
        for row in report.plan_rows(found, found.plan(demand.of(10, None, None, None, found.priors)))
        if row[0] == "does not fit"
    ]
