"""The main job: a person opens the address, signs in and gets an answer from a real model."""

from __future__ import annotations

from ollama_gpu import verify
from tests.serving.conftest import Serving


def test_the_administrator_signs_in_and_a_model_answers(serving: Serving) -> None:
    chat = verify.chat(serving.door, serving.administrator)
    assert chat.model == "gemma3:270m"
    assert chat.answer
    assert 0 < chat.first_token_ms <= chat.total_ms


def test_the_command_verify_does_the_same(serving: Serving) -> None:
    verified = serving.driver.run("verify", "--env", "local", "--json")
    assert verified.status == 0, verified.err
    assert verified.json["answer"]


def test_two_instances_in_two_zones_serve(serving: Serving) -> None:
    status = serving.driver.run("status", "--env", "local", "--json")
    assert status.status == 0, status.err
    instances = status.json["fleets"]["interactive"]["instances"]
    assert len({each["zone"] for each in instances}) == 2
    assert serving.healthy() == serving.instances()
    assert len(serving.instances()) == 2


def test_status_shows_the_steps_of_each_boot(serving: Serving) -> None:
    status = serving.driver.run("status", "--env", "local", "--json")
    for instance in status.json["fleets"]["interactive"]["instances"]:
        steps = {step["step"]: step for step in instance["boot"]}
        assert {"describe", "release", "open_webui_service", "launch"} <= steps.keys()
        assert all(step["result"] == "ok" for step in steps.values()), steps


def test_a_second_plan_is_empty_with_the_lab_too(serving: Serving) -> None:
    plan = serving.driver.run("plan", "--env", "local", "--json")
    assert plan.status == 0, plan.err
    assert plan.json["changes"] is False, plan.json
