"""The main use case: a user opens the address, signs in and gets an answer from a real model."""

from __future__ import annotations

from ollama_gpu.core import chat
from ollama_gpu.observe import boot_timeline
from tests.serving import fleet
from tests.serving.conftest import Serving
from tests.serving.traffic import Session, sign_in


def test_the_administrator_signs_in_and_a_model_answers(serving: Serving) -> None:
    answered = chat.chat(serving.chat_address, serving.administrator)
    assert answered.model == "gemma3:270m"
    assert answered.answer
    assert 0 < answered.first_token_ms <= answered.total_ms


def test_users_can_choose_the_chat_model_but_not_the_embedding_model(serving: Serving) -> None:
    session = Session(serving.chat_address, sign_in(serving.chat_address, serving.administrator))
    status, offered = session.ask("GET", "/api/models")
    assert (status, [model["id"] for model in offered["data"]]) == (200, ["gemma3:270m"])
    published = serving.driver.run("models", "list", "--env", "local", "--json")
    assert [model["name"] for model in published.json] == ["gemma3:270m", "all-minilm:22m"]


def test_verify_chats_and_skips_the_gpu_checks(serving: Serving) -> None:
    verified = serving.driver.run("verify", "--env", "local", "--json")
    rows = {row["what"]: row for row in verified.json}
    assert verified.status == 0, rows
    assert rows["chat"]["state"] == "ok"
    assert rows["fleet interactive"]["seen"] == "2 of 2 healthy"
    assert {row["state"] for what, row in rows.items() if what.startswith("GPU of")} == {"skipped"}


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


def test_both_instances_can_boot_at_once_on_an_empty_database(serving: Serving) -> None:
    """As in a first deploy: each instance tries to create the database, its schema and the first administrator."""
    boots = [boot(serving, instance) for instance in serving.instances()]
    assert max(began for began, _ in boots) < min(ended for _, ended in boots), boots
    sql = 'select count(*) from "user" where role = $$admin$$; select count(*) from alembic_version'
    counted = fleet.query(serving, sql)
    assert counted.split() == ["1", "1"], "administrators, schemas"


def boot(serving: Serving, instance: str) -> tuple[int, int]:
    """Start and end of an instance's boot from its log in CloudWatch, in milliseconds since 1970."""
    found = serving.context.aws.client("logs").filter_log_events(
        logGroupName=serving.context.contract.log_group("instance", "local"),
        logStreamNames=[instance],
        filterPattern=boot_timeline.PATTERN,
    )
    stamps = [event["timestamp"] for event in found["events"] if "ollama-gpu-boot:" in event["message"]]
    return min(stamps), max(stamps)


def test_a_second_plan_is_empty_with_the_lab(serving: Serving) -> None:
    plan = serving.driver.run("plan", "--env", "local", "--json")
    assert plan.status == 0, plan.err
    assert plan.json["changes"] is False, plan.json
