"""The planner: closed loop, deciding limit, and memory that does not fit."""

from __future__ import annotations

import json

import pytest

from ollama_gpu.catalogue import instance_types
from ollama_gpu.core import paths
from ollama_gpu.core.errors import UserError
from ollama_gpu.models.memory import GIB
from ollama_gpu.planning import database, demand, priors, report, scenario
from ollama_gpu.planning.scenario import Choices, Scenario

PATHS = paths.locate()


def prod(**choices: object) -> Scenario:
    return scenario.load(PATHS, "prod", Choices(**{"model": "llama3.1:8b", **choices}))  # type: ignore[arg-type]


def test_streams_are_users_times_their_share_of_answering_time() -> None:
    found = prod()
    plan = found.plan(demand.of(3000, 60, 700, 200, found.priors))
    assert plan.streams == pytest.approx(3000 * plan.answer_seconds / (60 + plan.answer_seconds))
    assert plan.chats_per_second == pytest.approx(3000 / (60 + plan.answer_seconds))
    assert plan.instances * plan.host.all_slots * 0.7 >= plan.streams


def test_limit_with_most_instances_decides() -> None:
    found = prod()
    plan = found.plan(demand.of(3000, 60, 700, 200, found.priors))
    assert plan.instances == max(plan.needed.values()) == plan.needed[plan.decided_by]
    few = found.plan(demand.of(1, 60, 700, 200, found.priors))
    assert (few.instances, few.decided_by) == (2, "min_size")


def test_default_model_is_the_first_of_the_environment() -> None:
    assert scenario.load(PATHS, "prod", Choices()).model.name == "gemma3:4b"
    assert prod().model.name == "llama3.1:8b"


def test_streams_grow_with_users_and_shrink_with_think_time() -> None:
    found = prod()
    sizes = [found.plan(demand.of(users, 60, 700, 200, found.priors)).streams for users in (1000, 2000)]
    assert sizes[1] == pytest.approx(2 * sizes[0])
    thinking = found.plan(demand.of(1000, 120, 700, 200, found.priors)).streams
    assert thinking < sizes[0]


def test_inventory_and_options_override_slots_and_context_of_the_roles() -> None:
    assert (scenario.load(PATHS, "staging", Choices()).host.slots, prod().host.slots) == (4, 8)
    assert prod().host.context == 8192
    assert (prod(slots=16).host.slots, prod(slots=16).host.queue_limit) == (16, 2 * 16 * 4)
    assert prod().host.processes == 8  # prod's inventory
    others = [scenario.load(PATHS, "staging", Choices(instance_type=kind)) for kind in ("g5.xlarge", "g5.12xlarge")]
    assert [each.host.processes for each in others] == [4, 16]  # one for each vCPU, up to the role's limit


def test_prod_serves_3000_users_with_two_instances_lost() -> None:
    found = scenario.load(PATHS, "prod", Choices())
    values = report.plan_values(found, found.plan(demand.of(3000, None, None, None, found.priors)))
    assert values["first_token_p95_seconds"] < 2
    assert values["instances"] + 2 <= values["max_size"]
    assert values["database_connections"] < database.limit(PATHS, found.values["data"]["database_instance_class"])


def test_report_shows_the_parts_of_gpu_memory() -> None:
    found = prod()
    values = report.plan_values(found, found.plan(demand.of(3000, None, None, None, found.priors)))
    memory = values["gpu_memory"]
    parts = sum(memory[part] for part in ("weights_gib", "kv_cache_gib", "buffers_gib", "process_gib"))
    assert parts == pytest.approx(memory["total_gib"], abs=0.03)
    # KV cache of an 8B model: 128 KiB per token at f16
    assert memory["kv_cache_gib"] == pytest.approx(8 * 8192 * 128 * 1024 / GIB)
    assert found.slots_that_fit > 8
    with pytest.raises(UserError, match="does not fit"):
        prod(slots=found.slots_that_fit + 1)


def test_error_for_model_that_does_not_fit_shows_sum_and_remedies() -> None:
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
def test_invalid_choice_is_named_in_the_error(choices: dict[str, object], says: str) -> None:
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


def test_every_supported_instance_type_has_a_prior_for_its_gpu() -> None:
    assert {kind.gpus.name.partition(" ")[0] for kind in instance_types.every().values()} <= set(priors.load().gpus)


def test_every_prior_has_a_source_and_measured_ones_a_date() -> None:
    known = priors.load()
    every = [*known.figures.values(), *known.gpus.values(), known.batching, known.webui_added_ms]
    assert all(each.source for each in every)
    assert all(each.date for each in every if each.origin == "measured")


def test_report_is_valid_json_and_a_row_names_an_exceeded_max_size() -> None:
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
