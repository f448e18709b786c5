"""`make deploy ENV=local`, starting with an interrupted first try. In this order; `test_destroy` comes last."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from ollama_gpu.core import contract
from ollama_gpu.core.paths import Paths, locate
from ollama_gpu.environment import settings
from ollama_gpu.local.lab import control_client, follower
from ollama_gpu.planning import resources
from ollama_gpu.terraform import values
from tests.fabric.driver import ROOT, Driver, Run, wait_for
from tests.fabric.paid import unknown

AGREED = contract.load(locate().contract)
STATE = {"Bucket": AGREED.state_bucket("123456789012", "us-east-1"), "Key": "local/terraform.tfstate"}
LOCK = {**STATE, "Key": STATE["Key"] + ".tflock"}


def test_ctrl_c_during_apply_exits_with_130_and_mentions_the_lock(interrupted: Run) -> None:
    assert interrupted.status == 130, interrupted.err
    assert "Traceback" not in interrupted.err
    assert "lock" in interrupted.err.lower()


def test_a_deploy_after_the_interruption_completes(deployed: dict[str, Any]) -> None:
    assert deployed["url"] == "https://chat.ollama-gpu.test"
    assert set(deployed["fleets"]) == {"interactive", "batch"}


def test_instances_can_fetch_the_deployed_release(deployed: dict[str, Any], aws: Any) -> None:
    template = deployed["fleets"]["interactive"]["launch_template"]
    versions = aws("ec2").describe_launch_template_versions(
        LaunchTemplateId=template["id"], Versions=[str(template["latest_version"])]
    )["LaunchTemplateVersions"]
    user_data = base64.b64decode(versions[0]["LaunchTemplateData"]["UserData"]).decode()
    digest = json.loads(next(line for line in user_data.splitlines() if line.startswith("{")))["collection_sha256"]
    key = AGREED.artifacts["collection"].format(collection_sha256=digest)
    archive = aws("s3").get_object(Bucket=deployed["artifact_bucket"], Key=key)["Body"].read()
    assert hashlib.sha256(archive).hexdigest() == digest


def test_a_second_plan_is_empty(driver: Driver, deployed: dict[str, Any]) -> None:
    plan = driver.make("plan", "ENV=local", "JSON=1")
    assert plan.status == 0, plan.err
    assert plan.json["changes"] is False, plan.json


def test_a_second_deploy_changes_nothing_and_stops_a_running_lab(
    driver: Driver, deployed: dict[str, Any], endpoint: str, aws: Any
) -> None:
    before = len(driver.logs("apply"))
    targets = deployed["target_group_arns"]["interactive"]
    with running_lab(driver, endpoint) as process:
        assert "initial" in target_states(aws, targets), "the embedded AWS was not told about the lab"
        again = driver.run("deploy", "--env", "local", "--no-lab", "--json")
        assert again.status == 0, again.err
        wait_for(lambda: process.poll() is not None, "the follower's end", 5)
    assert set(target_states(aws, targets)) == {"healthy"}
    assert again.json == deployed
    assert len(driver.logs("apply")) == before, "Terraform applied although the plan was empty"


@contextmanager
def running_lab(driver: Driver, endpoint: str) -> Iterator[subprocess.Popen[str]]:
    """Simulate a deploy with LAB=on, without containers: a recorded follower process, and a registered lab."""
    folder = driver.work / "lab" / "local"
    folder.mkdir(parents=True)
    script = "import signal; print('lives', flush=True); signal.pause()"
    with subprocess.Popen(
        [sys.executable, "-c", script, follower.MODULE], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "lives\n"
        record = {"pid": process.pid, "created": psutil.Process(process.pid).create_time()}
        (folder / "follow.json").write_text(json.dumps(record))
        assert follower.Follower(folder).running() == process.pid
        control_client.set_lab_present(endpoint, present=True)
        try:
            yield process
        finally:
            control_client.set_lab_present(endpoint, present=False)
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


def test_no_secret_value_is_in_the_state_or_the_drivers_files(driver: Driver, aws: Any) -> None:
    secrets = [
        aws("secretsmanager").get_secret_value(SecretId=AGREED.secret(key, "local"))["SecretString"]
        for key in AGREED.secrets
    ]
    needles = [
        inner for value in secrets for inner in (json.loads(value).values() if value.startswith("{") else [value])
    ]
    passwords = [needle for needle in needles if len(needle) >= 24 and "@" not in needle]
    assert len(passwords) >= 4  # one more when sign-on is configured
    state = aws("s3").get_object(**STATE)["Body"].read().decode()
    files = [
        path.read_text(errors="ignore")
        for path in Path(driver.work / "environments").rglob("*")
        if path.is_file() and path.stat().st_size < 5_000_000
    ]
    for password in passwords:
        assert password not in state
        assert not any(password in text for text in files)


def test_the_cache_requires_a_token(aws: Any, deployed: dict[str, Any]) -> None:
    group = aws("elasticache").describe_replication_groups(ReplicationGroupId=deployed["cache_replication_group_id"])
    assert group["ReplicationGroups"][0]["AuthTokenEnabled"] is True
    assert group["ReplicationGroups"][0]["TransitEncryptionEnabled"] is True


def test_every_taggable_resource_carries_project_environment_manager_and_release(
    aws: Any, deployed: dict[str, Any]
) -> None:
    state = json.loads(aws("s3").get_object(**STATE)["Body"].read())
    agreed = {AGREED.tags["project"]: AGREED.project, AGREED.tags["environment"]: "local"}
    agreed[AGREED.tags["managed_by"]] = "Terraform"
    releases = set()
    wrong: list[tuple[str, object]] = []

    def judge(kind: str, tags: dict[str, str]) -> None:
        if not agreed.items() <= tags.items():
            wrong.append((kind, tags))
        releases.add(tags.get(AGREED.tags["release"]))

    judged = 0
    for resource in state["resources"]:
        for instance in resource["instances"] if resource["mode"] == "managed" else ():
            attributes = instance["attributes"]
            if "tags_all" in attributes:  # the provider sets it on every taggable resource
                judge(resource["type"], attributes["tags_all"] or {})
                judged += 1
            # Instances and volumes get their tags from the template and the group: default_tags do not reach them.
            for made in attributes.get("tag_specifications", ()):
                judge(f"{made['resource_type']} of a template", made["tags"])
            if resource["type"] == "aws_autoscaling_group":
                judge("group", {tag["key"]: tag["value"] for tag in attributes["tag"]})
    assert wrong == []
    assert judged > 100
    for reservation in aws("ec2").describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            judge(instance["InstanceId"], tags)
            assert AGREED.tags["fleet"] in tags
    assert wrong == []
    assert len(releases) == 1, "all resources are from one release"
    assert None not in releases


def test_cost_estimate_counts_the_resources_of_the_deployed_state(
    driver: Driver, aws: Any, deployed: dict[str, Any]
) -> None:
    state = json.loads(aws("s3").get_object(**STATE)["Body"].read())
    there = [
        (resource["type"], instance["attributes"])
        for resource in state["resources"]
        if resource["mode"] == "managed"
        for instance in resource["instances"]
    ]
    paths = Paths(locate().repository, driver.work)
    environment = settings.load(paths, "local")
    found = values.read(paths.terraform / "variables.tf", environment.variables_file)
    assert resources.of(there) == resources.load(paths, environment, found, print)
    assert unknown(kind for kind, _ in there) == []


def test_a_lock_held_by_another_user_is_named_and_can_be_released(driver: Driver, aws: Any) -> None:
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
    before = driver.logs("plan")
    process = driver.start("plan", "--env", "local")
    wait_for(  # by name, not by number: old logs are deleted when new ones appear
        lambda: any('"refresh_start"' in log.read_text() for log in driver.logs("plan") if log not in before),
        "the plan to begin",
        60,
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    with pytest.raises(aws("s3").exceptions.ClientError, match="404"):
        aws("s3").head_object(**LOCK)


def test_a_dead_instance_is_replaced_and_its_target_removed(aws: Any, deployed: dict[str, Any]) -> None:
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
