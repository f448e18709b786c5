"""Instances of the embedded AWS are containers: they start, serve metadata, run their user data, and are removed."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from ollama_gpu.local.lab.instances import events
from ollama_gpu.local.lab.instances.containers import Containers
from ollama_gpu.local.lab.instances.credentials import Credentials

from .conftest import REGION, TOKEN, Bench, encoded

USER_DATA = f"""#!/bin/bash
{TOKEN}
echo "$(date +%s) $(curl -s -H "$T" http://169.254.169.254/latest/meta-data/instance-id)" >> /var/lib/user-data-ran
"""
# written when systemd stops the service, and never after a kill
STOP_SERVICE = """#!/bin/bash
systemd-run --unit=on-stop --remain-after-exit \\
  --property='ExecStop=/bin/sh -c "sleep 1; echo stopped cleanly >> /var/log/cloud-init-output.log"' /bin/true
"""
BOOT_SECONDS = 90.0
SHUTDOWN_SECONDS = 75.0


@pytest.fixture(scope="module")
def instance(bench: Bench) -> Iterator[str]:
    """A running instance with a role, whose user data has run."""
    profile = bench.profile("inference")
    identifier = bench.launch(USER_DATA, IamInstanceProfile={"Arn": profile})
    bench.look()
    yield identifier
    bench.terminate(identifier)
    bench.look()


def test_cloud_init_runs_user_data_once_and_detects_ec2(bench: Bench, instance: str) -> None:
    began = time.monotonic()
    bench.look_until(
        lambda: "done" in bench.inside(instance, "cloud-init status", check=False), "cloud-init", BOOT_SECONDS
    )
    print(f"cloud-init was done {time.monotonic() - began:.1f} s after the look")
    ran = bench.inside(instance, "cat /var/lib/user-data-ran").splitlines()
    assert [line.split()[1] for line in ran] == [instance]
    assert bench.inside(instance, "cloud-init query instance_id") == instance
    assert bench.inside(instance, "cloud-init query cloud_name") == "aws"
    assert not bench.inside(instance, "grep -E 'WARNING|ERROR|CRITICAL|Traceback' /var/log/cloud-init.log", check=False)
    assert bench.inside(instance, "systemctl --failed --no-legend") == ""


def test_metadata_needs_a_token_and_matches_ec2(bench: Bench, instance: str) -> None:
    status = "curl -s -o /dev/null -w '%{http_code}' http://169.254.169.254/latest/meta-data/instance-id"
    assert bench.inside(instance, status) == "401"
    assert bench.inside(instance, f"{status} -H 'X-aws-ec2-metadata-token: made-up'") == "401"
    assert bench.imds(instance, "meta-data/instance-id") == instance
    assert bench.imds(instance, "meta-data/instance-life-cycle") == "on-demand"
    assert bench.imds(instance, "meta-data/placement/region") == REGION
    assert bench.imds(instance, "meta-data/tags/instance/Fleet") == "interactive"
    assert bench.imds(instance, "user-data") == USER_DATA.strip()
    document = json.loads(bench.imds(instance, "dynamic/instance-identity/document"))
    assert (document["instanceId"], document["region"]) == (instance, REGION)
    address = bench.look()[instance]
    assert bench.imds(instance, "meta-data/local-ipv4") == address
    assert address in bench.inside(instance, "hostname -I").split()
    for absent in ("spot/instance-action", "events/recommendations/rebalance", "autoscaling/target-lifecycle-state"):
        assert bench.imds(instance, f"meta-data/{absent}") == ""


def test_role_credentials_work_and_are_in_no_container_description(bench: Bench, instance: str) -> None:
    role = bench.imds(instance, "meta-data/iam/security-credentials/")
    assert role == "inference"
    keys = json.loads(bench.imds(instance, f"meta-data/iam/security-credentials/{role}"))
    sts: Any = boto3.client(
        "sts", REGION, endpoint_url=bench.aws.endpoint, aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["Token"],
    )  # fmt: skip
    assert sts.get_caller_identity()["Arn"].endswith(f"assumed-role/inference/{instance}")
    for name in (bench.settings.container(instance), bench.settings.metadata_container(instance)):
        seen = json.dumps(bench.docker.container(name))
        assert keys["SecretAccessKey"] not in seen
        assert keys["Token"] not in seen


def test_the_embedded_aws_is_reachable_by_a_short_name(bench: Bench, instance: str) -> None:
    port = str(bench.aws.endpoint).rsplit(":", 1)[1]
    code = bench.inside(instance, f"curl -s -o /dev/null -w '%{{http_code}}' http://aws:{port}/ollama-gpu/nothing")
    assert code != "000"


def test_a_restarted_follower_does_not_touch_running_instances(bench: Bench, instance: str) -> None:
    name = bench.settings.container(instance)
    before = bench.docker.container(name)
    again = Containers(bench.docker, bench.settings, Credentials(bench.aws))
    assert instance in again.reconcile(bench.view.read())
    began = time.monotonic()
    bench.look()
    print(f"a round without changes takes {time.monotonic() - began:.2f} s")
    after = bench.docker.container(name)
    assert before
    assert after
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert bench.imds(instance, "meta-data/instance-id") == instance


def test_notices_appear_and_disappear_without_a_restart(bench: Bench, instance: str) -> None:
    metadata = bench.settings.metadata_container(instance)
    token = bench.inside(instance, f"{TOKEN}; echo $T")
    end = events.spot_notice(bench.docker, metadata)
    bench.look()
    curl = f"curl -s -H '{token}' http://169.254.169.254/latest/meta-data"
    action = json.loads(bench.inside(instance, f"{curl}/spot/instance-action"))
    assert action == {"action": "terminate", "time": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
    assert "noticeTime" in bench.inside(instance, f"{curl}/events/recommendations/rebalance")
    events.withdraw(bench.docker, metadata)
    assert bench.imds(instance, "meta-data/spot/instance-action") == ""
    events.rebalance(bench.docker, metadata)
    assert bench.imds(instance, "meta-data/spot/instance-action") == ""
    assert "noticeTime" in bench.imds(instance, "meta-data/events/recommendations/rebalance")
    events.withdraw(bench.docker, metadata)


def test_a_terminated_instance_is_removed_with_its_volumes_and_no_other(bench: Bench, instance: str) -> None:
    other = bench.launch(STOP_SERVICE)
    assert set(bench.look()) == {instance, other}
    bench.look_until(
        lambda: "done" in bench.inside(other, "cloud-init status", check=False), "cloud-init", BOOT_SECONDS
    )
    found = bench.docker.container(bench.settings.container(other))
    volumes = [mount["Name"] for mount in (found or {})["Mounts"] if mount["Type"] == "volume"]
    assert volumes
    bench.terminate(other)
    began = time.monotonic()
    assert set(bench.look()) == {instance}
    assert time.monotonic() - began < 2, "the round waits for the shutdown"
    bench.look_until(lambda: not any(other in name for name in bench.names()), "the removal", SHUTDOWN_SECONDS)
    print(f"removed in {time.monotonic() - began:.1f} s")
    bench.look_until(
        lambda: not set(volumes) & set(bench.docker.output("volume", "ls", "--quiet").split()), "the volumes' removal"
    )
    assert bench.settings.consoles
    assert "stopped cleanly" in (bench.settings.consoles / f"{other}.log").read_text()


@pytest.mark.parametrize("how", [("kill",), ("rm", "--force", "--volumes")])
def test_a_container_ended_by_hand_is_not_restarted(bench: Bench, instance: str, how: tuple[str, ...]) -> None:
    victim = bench.launch()
    assert victim in bench.look()
    bench.docker.output(*how, bench.settings.container(victim))
    assert set(bench.look()) == {instance}
    assert set(bench.look()) == {instance}
    assert not bench.docker.running(bench.settings.container(victim))
    bench.terminate(victim)
    bench.look_until(lambda: not any(victim in name for name in bench.names()), "the removal", SHUTDOWN_SECONDS)


def test_an_instance_that_cannot_start_is_logged_once_and_blocks_no_other(
    bench: Bench, instance: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = bench.launch(image=bench.image("gone", "ollama-gpu/host:gone"))
    sound = bench.launch()
    with caplog.at_level(logging.ERROR):
        assert set(bench.look()) == {instance, sound}
        assert set(bench.look()) == {instance, sound}
    logged = [record.getMessage() for record in caplog.records if broken in record.getMessage()]
    assert len(logged) == 1
    assert "ollama-gpu/host:gone" in logged[0]
    assert not any(broken in name for name in bench.names())
    bench.terminate(broken, sound)
    bench.look()


def test_a_group_announces_a_termination_in_the_metadata(bench: Bench) -> None:
    aws = bench.aws
    data: Any = {
        "ImageId": bench.image("stock"),
        "InstanceType": "g5.xlarge",
        "UserData": encoded(USER_DATA),
        "IamInstanceProfile": {"Arn": bench.profile("of-a-group")},
    }
    aws.ec2.create_launch_template(LaunchTemplateName="fleet", LaunchTemplateData=data)
    zone = f"{REGION}a"
    labels = {"Project": "ollama-gpu", "Environment": "local"}
    aws.autoscaling.create_auto_scaling_group(
        AutoScalingGroupName="fleet", MinSize=0, MaxSize=2, DesiredCapacity=1, AvailabilityZones=[zone],
        LaunchTemplate={"LaunchTemplateName": "fleet", "Version": "1"},
        Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in labels.items()],
        LifecycleHookSpecificationList=[
            {"LifecycleHookName": "drained", "LifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING"}
        ],
    )  # fmt: skip

    def members() -> list[Any]:
        described = aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=["fleet"])
        return list(described["AutoScalingGroups"][0]["Instances"])

    bench.look_until(lambda: members() and members()[0]["LifecycleState"] == "InService", "in service")
    identifier = members()[0]["InstanceId"]
    state = "meta-data/autoscaling/target-lifecycle-state"
    bench.look_until(lambda: bench.imds(identifier, state) == "InService", "its state", 20)
    assert bench.instance(identifier).role.endswith("/of-a-group")
    bench.look_until(
        lambda: bench.inside(identifier, "cat /var/lib/user-data-ran", check=False), "user data", BOOT_SECONDS
    )
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="fleet", DesiredCapacity=0)
    bench.look_until(lambda: bench.imds(identifier, state) == "Terminated", "the termination", 20)
    aws.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName="fleet",
        LifecycleHookName="drained",
        InstanceId=identifier,
        LifecycleActionResult="CONTINUE",
    )
    bench.look_until(lambda: not any(identifier in name for name in bench.names()), "the removal", SHUTDOWN_SECONDS)


def test_instances_of_other_environments_are_ignored(bench: Bench, instance: str) -> None:
    settings = replace(bench.settings, prefix=f"{bench.settings.prefix}x")
    assert Containers(bench.docker, settings, Credentials(bench.aws)).reconcile([]) == {}
    assert bench.docker.running(bench.settings.container(instance))
