"""The simulator agrees with closed formulas where there are some, and scales by Terraform's values."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ollama_gpu.core import paths
from ollama_gpu.planning import picture, priors, report, scenario, simulation
from ollama_gpu.planning.day import Day
from ollama_gpu.planning.demand import Demand
from ollama_gpu.planning.engine import Engine
from ollama_gpu.planning.host import Host
from ollama_gpu.planning.scaling import Policies
from ollama_gpu.planning.scenario import Choices
from ollama_gpu.planning.simulation import Outcome, Service
from ollama_gpu.terraform import values

PRIORS = priors.load()
MONDAY, SUNDAY = datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)
HOUR = 3600.0
NEVER = {"cpu": 1e9, "inference load": 1e9, "requests": 1e9}
FIXED = Policies(
    min_size=2, max_size=2, on_demand_base=2, spot_percentage=0, warmup_seconds=300, drain_seconds=110, targets=NEVER
)
ASKING = Demand(users=0, think_seconds=30, prompt_tokens=10, answer_tokens=100)


def service(slots: int = 4, rate: float = 20.0, queue: int = 8, seconds: float = 20.0) -> Service:
    """Return an instance of one GPU whose streams all get ``rate``, however many there are."""
    engine = Engine((0.0, *[rate] * slots), prompt_rate=1e6, stalled_rate=1e6)
    host = Host(
        1, slots, 4096, "f16", queue_limit=queue, queue_seconds=seconds, processes=4, connections_per_process=10
    )
    return Service(engine, host, vcpus=8, boot_seconds=240)


def run(users: int, policies: Policies = FIXED, of: Service | None = None, seed: int = 1, hours: float = 2) -> Outcome:
    return simulation.run(Day(users, users), ASKING, of or service(), policies, PRIORS, seed, hours * HOUR)


def test_throughput_of_idle_fleet_follows_think_and_answer_time() -> None:
    outcome = run(10, hours=8)
    expected = 10 * 8 * HOUR / (30 + 100 / 20)
    assert outcome.chats == pytest.approx(expected, rel=0.05)
    assert outcome.tokens / outcome.chats == pytest.approx(100, rel=0.05)
    assert outcome.refused == outcome.timed_out == outcome.cut == 0


def test_throughput_of_full_fleet_is_limited_by_its_slots() -> None:
    outcome = run(200)
    capacity = 2 * 4 * 20 / 100  # instances x slots x rate / tokens
    assert outcome.chats / (2 * HOUR) == pytest.approx(capacity, rel=0.05)


def test_queue_is_bounded_and_long_waits_time_out() -> None:
    crowd = run(200)
    assert crowd.refused > 1000
    # full queue, all slots busy: the wait is queue / service rate, plus Open WebUI's added time
    assert crowd.waits.at(0.5) == pytest.approx(8 / (4 * 20 / 100), rel=0.15)
    impatient = run(200, of=service(seconds=5))
    assert impatient.timed_out > 100
    assert impatient.waits.at(0.95) < 5 + 2.5


def test_first_token_waits_for_its_prompt_and_earlier_prompts() -> None:
    quick = run(2)
    slow_prompt = service()
    slow_prompt = replace(slow_prompt, engine=replace(slow_prompt.engine, prompt_rate=10.0))  # 1 s per prompt
    slow = run(2, of=slow_prompt)
    assert slow.waits.at(0.5) - quick.waits.at(0.5) == pytest.approx(1, abs=0.05)
    assert run(40, of=slow_prompt).waits.at(0.5) > slow.waits.at(0.5) + 0.3


def test_decoding_slows_down_while_a_prompt_is_computed() -> None:
    stalling = service(rate=20)
    stalling = replace(stalling, engine=replace(stalling.engine, prompt_rate=5.0, stalled_rate=0.1))  # 2 s per prompt
    assert run(200, of=stalling).chats < 0.8 * run(200).chats


def test_same_seed_gives_the_same_day_and_another_a_similar_one() -> None:
    first, again, other = run(20), run(20), run(20, seed=2)
    assert (first.chats, first.waits.at(0.95)) == (again.chats, again.waits.at(0.95))
    assert first.chats != other.chats
    assert first.chats == pytest.approx(other.chats, rel=0.05)


def test_fleet_follows_the_load_within_its_limits() -> None:
    growing = replace(FIXED, max_size=5, targets={**NEVER, "inference load": 70})
    outcome = simulation.run(Day(2, 120), ASKING, service(), growing, PRIORS)
    assert outcome.fewest == 2
    assert outcome.most == 5
    assert outcome.decisions[-1][1] == 2
    assert all(by == "inference load" for _, size, by in outcome.decisions if size > 2)
    stuck = simulation.run(Day(2, 120), ASKING, service(), FIXED, PRIORS)
    assert stuck.refused > outcome.refused
    assert outcome.instance_hours < 5 * 24


def test_instance_serves_only_after_its_boot() -> None:
    growing = replace(FIXED, max_size=4, targets={**NEVER, "inference load": 70})
    quick, slow = (
        run(120, growing, replace(service(), boot_seconds=seconds), hours=3).refused for seconds in (60.0, 3000.0)
    )
    assert slow > 1.2 * quick


def test_lost_spot_is_replaced_and_the_on_demand_base_stays() -> None:
    many = PRIORS.figures["spot_losses_per_instance_month"].model_copy(update={"value": 300.0})  # ten a day
    often = PRIORS.model_copy(update={"figures": {**PRIORS.figures, "spot_losses_per_instance_month": many}})
    mixed = replace(FIXED, min_size=6, max_size=6, spot_percentage=100)
    outcome = simulation.run(Day(40, 40), ASKING, service(), mixed, often, seconds=12 * HOUR)
    assert outcome.spot_losses > 5
    assert outcome.on_demand_hours == pytest.approx(2 * 12, abs=0.01)
    assert outcome.spot_hours == pytest.approx(4 * 12, rel=0.05)
    assert outcome.moved > 0
    none = simulation.run(Day(40, 40), ASKING, service(), FIXED, often, seconds=2 * HOUR)
    assert (none.spot_losses, none.spot_hours) == (0, 0)


def test_schedule_comes_from_the_variables_file() -> None:
    where = paths.locate()
    fleet = values.read(where.terraform / "variables.tf", where.environments / "prod.tfvars")["fleets"]["interactive"]
    monday, sunday = Policies.of(fleet, MONDAY), Policies.of(fleet, SUNDAY)
    office = max(entry["min_size"] for entry in fleet["schedule"].values())
    assert [monday.minimum(hour * HOUR) for hour in (6.9, 7.1, 18.9, 19.1)] == [2, office, office, 2]
    assert sunday.minimums == ()
    assert monday.targets["inference load"] == fleet["scaling"]["inference_load_percent"]


def test_planner_and_simulator_agree_on_a_fleet_without_queues() -> None:
    found = scenario.load(paths.locate(), "prod", Choices(model="gemma3:4b", slots=8))
    asked = Demand(users=600, think_seconds=60, prompt_tokens=300, answer_tokens=200)
    plan = found.plan(asked)
    policies = replace(found.policies(MONDAY.date()), min_size=plan.instances, max_size=plan.instances, minimums=())
    outcome = simulation.run(Day(600, 600), asked, found.service, policies, found.priors, seconds=2 * HOUR)
    assert outcome.chats / (2 * HOUR) == pytest.approx(plan.chats_per_second, rel=0.05)
    assert outcome.waits.at(0.5) == pytest.approx(plan.first_token_p50, rel=0.3)


def test_day_is_reported_as_values_rows_and_picture() -> None:
    found = scenario.load(paths.locate(), "prod", Choices(model="gemma3:4b"))
    outcome = simulation.run(
        Day(5, 50), ASKING, found.service, found.policies(MONDAY.date()), found.priors, seconds=3 * HOUR
    )
    shown = report.day_values(found, Day(5, 50), outcome)
    json.dumps(shown, allow_nan=False)
    assert len(shown["quarters"]) == 12
    assert len(report.day_rows(shown)) == 3
    drawn = ElementTree.fromstring(picture.draw(shown))
    lines = drawn.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4  # users, instances, p50, p95
    assert all(len(line.get("points", "").split()) >= 12 for line in lines)
