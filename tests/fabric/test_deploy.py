"""`make deploy ENV=local`, from an interrupted first try to the last resource gone. In this order."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu import contract, leftovers
from ollama_gpu.aws import Aws
from ollama_gpu.lab import handles
from ollama_gpu.paths import locate
from tests.fabric.driver import ROOT, Driver, Run, wait_for

AGREED = contract.load(locate().contract)
STATE = {"Bucket": AGREED.state_bucket("123456789012", "us-east-1"), "Key": "local/terraform.tfstate"}
LOCK = {**STATE, "Key": STATE["Key"] + ".tflock"}


def test_ctrl_c_during_apply_ends_with_130_and_says_what_happens(interrupted: Run) -> None:
    assert interrupted.status == 130
    assert "Traceback" not in interrupted.err
    assert "lock" in interrupted.err.lower()


def test_a_deploy_after_the_interruption_completes(deployed: dict[str, Any]) -> None:
    assert deployed["url"] == "https://chat.ollama-gpu.test"
    assert set(deployed["fleets"]) == {"interactive", "batch"}


def test_instances_find_the_release_that_was_deployed(deployed: dict[str, Any], aws: Any) -> None:
    name = AGREED.parameter("release", "local")
    published = json.loads(aws("ssm").get_parameter(Name=name)["Parameter"]["Value"])
    key = AGREED.artifacts["collection"].format(release=published["release"])
    archive = aws("s3").get_object(Bucket=deployed["artifact_bucket"], Key=key)["Body"].read()
    assert hashlib.sha256(archive).hexdigest() == published["collection_sha256"]


def test_a_second_plan_is_empty(driver: Driver, deployed: dict[str, Any]) -> None:
    plan = driver.make("plan", "ENV=local", "JSON=1")
    assert plan.status == 0, plan.err
    assert plan.json["changes"] is False, plan.json


def test_a_second_deploy_changes_nothing_in_the_fabric_and_ends_a_lab_that_runs(
    driver: Driver, deployed: dict[str, Any], endpoint: str, aws: Any
) -> None:
    before = len(driver.logs("apply"))
    targets = deployed["target_group_arns"]["interactive"]
    with lab_that_runs(driver, endpoint) as follower:
        assert "initial" in target_states(aws, targets), "the embedded AWS does not know of a lab"
        again = driver.run("deploy", "--env", "local", "--no-lab", "--json")
        assert again.status == 0, again.err
        wait_for(lambda: follower.poll() is not None, "the follower's end", 5)
    assert set(target_states(aws, targets)) == {"healthy"}
    assert again.json == deployed
    assert len(driver.logs("apply")) == before, "Terraform applied although the plan was empty"


@contextmanager
def lab_that_runs(driver: Driver, endpoint: str) -> Iterator[subprocess.Popen[str]]:
    """What a deploy with LAB=on leaves but for its containers: a follower by its lock, and the word of a world."""
    folder = driver.work / "lab" / "local"
    folder.mkdir(parents=True)
    script = "import signal, sys; from pathlib import Path; from ollama_gpu.lab.follower import Follower\n"
    script += "with Follower(Path(sys.argv[1])).living(): print('lives', flush=True); signal.pause()"
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "lives\n"
        handles.say_world(endpoint, present=True)
        try:
            yield process
        finally:
            handles.say_world(endpoint, present=False)
            process.kill()


def target_states(aws: Any, target_group: str) -> list[str]:
    found = aws("elbv2").describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]
    return [each["TargetHealth"]["State"] for each in found]


def test_outputs_are_json_for_programs_and_a_table_for_people(driver: Driver, deployed: dict[str, Any]) -> None:
    assert driver.run("outputs", "--env", "local", "--json").json == deployed
    table = driver.run("outputs", "--env", "local")
    assert "load_balancer.dns_name" in table.out
    assert deployed["load_balancer"]["dns_name"] in table.out


def test_status_shows_two_instances_in_different_zones_in_service(driver: Driver, deployed: dict[str, Any]) -> None:
    def seen() -> dict[str, Any]:
        fleet: dict[str, Any] = driver.run("status", "--env", "local", "--json").json["fleets"]["interactive"]
        return fleet

    wait_for(lambda: seen()["targets"] == {"healthy": 2}, "two healthy targets", 60)
    instances = seen()["instances"]
    assert len({instance["zone"] for instance in instances}) == 2
    assert {instance["state"] for instance in instances} == {"InService"}
    assert all(instance["type"].startswith(("g4dn.", "g5.", "g6.")) for instance in instances)


def test_env_points_any_sdk_at_the_environment(driver: Driver, deployed: dict[str, Any]) -> None:
    look = "import boto3; print(len(boto3.client('autoscaling').describe_auto_scaling_groups()['AutoScalingGroups']))"
    script = f'eval "$({ROOT}/.venv/bin/ollama-gpu env --env local)" && {ROOT}/.venv/bin/python -c "{look}"'
    done = subprocess.run(["bash", "-c", script], env=driver.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "2", "two fleets"


def test_no_secret_value_is_in_state_logs_or_any_file_of_the_driver(driver: Driver, aws: Any) -> None:
    values = [
        aws("secretsmanager").get_secret_value(SecretId=AGREED.secret(key, "local"))["SecretString"]
        for key in AGREED.secrets
    ]
    needles = [
        inner for value in values for inner in (json.loads(value).values() if value.startswith("{") else [value])
    ]
    passwords = [needle for needle in needles if len(needle) >= 24 and "@" not in needle]
    assert len(passwords) == 4
    state = aws("s3").get_object(**STATE)["Body"].read().decode()
    files = [
        path.read_text(errors="ignore")
        for path in Path(driver.work / "environments").rglob("*")
        if path.is_file() and path.stat().st_size < 5_000_000
    ]
    for password in passwords:
        assert password not in state
        assert not any(password in text for text in files)


def test_the_cache_demands_its_token(aws: Any, deployed: dict[str, Any]) -> None:
    group = aws("elasticache").describe_replication_groups(ReplicationGroupId=deployed["cache_replication_group_id"])
    assert group["ReplicationGroups"][0]["AuthTokenEnabled"] is True
    assert group["ReplicationGroups"][0]["TransitEncryptionEnabled"] is True


def test_every_taggable_resource_carries_project_environment_manager_and_release(
    aws: Any, deployed: dict[str, Any]
) -> None:
    state = json.loads(aws("s3").get_object(**STATE)["Body"].read())
    untagged = []
    for resource in state["resources"]:
        for instance in resource["instances"] if resource["mode"] == "managed" else ():
            tags = instance["attributes"].get("tags_all")
            if tags is not None and not {"Project", "Environment", "ManagedBy", "Release"} <= set(tags):
                untagged.append(resource["type"])
    assert untagged == []
    for reservation in aws("ec2").describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"] for tag in instance["Tags"]}
            assert {"Project", "Environment", "ManagedBy", "Release", "Fleet"} <= tags, instance["InstanceId"]


def test_a_lock_that_somebody_holds_is_named_and_can_be_released(driver: Driver, aws: Any) -> None:
    held = {
        "ID": "6a3e54a1-6f6f-4f9e-9a3b-9f0c7c1f2d11",
        "Operation": "OperationTypeApply",
        "Who": "maria@ops",
        "Version": "1.11.4",
        "Created": "2026-11-23T00:00:00Z",
        "Info": "",
        "Path": "x",
    }
    aws("s3").put_object(**LOCK, Body=json.dumps(held).encode())
    try:
        refused = driver.run("deploy", "--env", "local", "--no-lab")
        assert refused.refused("maria@ops", "make unlock ENV=local LOCK=6a3e54a1")
        assert driver.run("plan", "--env", "local").refused("maria@ops", "unlock")
        assert driver.run("unlock", "--env", "local", held["ID"]).status == 0
        assert driver.run("plan", "--env", "local", "--json").json["changes"] is False
    finally:
        aws("s3").delete_object(**LOCK)


def test_ctrl_c_during_plan_leaves_no_lock(driver: Driver, aws: Any, deployed: dict[str, Any]) -> None:
    before = len(driver.logs("plan"))
    process = driver.start("plan", "--env", "local")
    wait_for(
        lambda: len(driver.logs("plan")) > before and '"refresh_start"' in driver.logs("plan")[-1].read_text(),
        "the plan to begin",
        60,
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    with pytest.raises(aws("s3").exceptions.ClientError, match="404"):
        aws("s3").head_object(**LOCK)


def test_an_instance_that_dies_is_replaced_and_its_target_goes(aws: Any, deployed: dict[str, Any]) -> None:
    group = deployed["fleets"]["interactive"]["group_name"]

    def members() -> set[str]:
        answer = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])["AutoScalingGroups"][0]
        return {item["InstanceId"] for item in answer["Instances"] if item["LifecycleState"] == "InService"}

    victim = sorted(members())[0]
    aws("ec2").terminate_instances(InstanceIds=[victim])
    wait_for(lambda: victim not in members() and len(members()) == 2, "the replacement", 60)
    targets = aws("elbv2").describe_target_health(TargetGroupArn=deployed["target_group_arns"]["interactive"])
    serving = {
        item["Target"]["Id"]
        for item in targets["TargetHealthDescriptions"]
        if item["TargetHealth"]["State"] == "healthy"
    }
    assert victim not in serving
    activities = aws("autoscaling").describe_scaling_activities(AutoScalingGroupName=group)["Activities"]
    assert any(victim in activity["Description"] and activity["Cause"] for activity in activities)


def test_destroy_leaves_nothing_and_stops_the_embedded_aws(
    driver: Driver, aws: Any, endpoint: str, deployed: dict[str, Any]
) -> None:
    before = leftovers.find("local", AGREED.project, Aws("us-east-1", endpoint))
    assert len(before) > 100, "the walk sees too little to prove anything"
    done = driver.make("destroy", "ENV=local", "JSON=1")
    assert done.status == 0, done.err
    assert done.json == {"left": []}
    assert driver.run("status", "--env", "local").refused("not running", "make deploy ENV=local")
