"""The API returns what the lab reports to the control pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from ollama_gpu.environment.embedded_aws import HOST, Endpoint
from ollama_gpu.local.embedded_aws import control


def put(endpoint: Endpoint, path: str, body: Any, method: str = "PUT") -> tuple[int, str]:
    connection = HTTPConnection(HOST, endpoint.port, timeout=10)
    connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.fixture
def target(client: Callable[[str], Any], network: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """An instance that is registered in a target group of a load balancer."""
    elbv2, ec2 = client("elbv2"), client("ec2")
    group = elbv2.create_target_group(Name=name, Protocol="HTTPS", Port=8443, VpcId=network["vpc"])["TargetGroups"][0]
    balancer = elbv2.create_load_balancer(Name=name, Subnets=network["subnets"])["LoadBalancers"][0]
    action = [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}]
    elbv2.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=action)
    image = ec2.describe_images(Owners=["136693071363"])["Images"][0]["ImageId"]
    instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=network["subnets"][0])["Instances"][0]
    elbv2.register_targets(TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": instance["InstanceId"]}])
    yield {"target_group_arn": group["TargetGroupArn"], "instance_id": instance["InstanceId"]}
    elbv2.delete_load_balancer(LoadBalancerArn=balancer["LoadBalancerArn"])
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])


def test_target_has_health_that_lab_reported(
    client: Callable[[str], Any], endpoint: Endpoint, target: dict[str, Any]
) -> None:
    report = {**target, "state": "unhealthy", "reason": "Target.Timeout"}
    assert put(endpoint, control.TARGET_HEALTH_PATH, [report])[0] == 204
    found = client("elbv2").describe_target_health(TargetGroupArn=target["target_group_arn"])
    health = found["TargetHealthDescriptions"][0]["TargetHealth"]
    assert (health["State"], health["Reason"]) == ("unhealthy", "Target.Timeout")


def test_report_for_deregistered_target_is_ignored(endpoint: Endpoint, target: dict[str, Any]) -> None:
    gone = {**target, "instance_id": "i-00000000000000000", "state": "healthy"}
    assert put(endpoint, control.TARGET_HEALTH_PATH, [gone])[0] == 204


def test_new_target_is_initial_while_lab_is_present(
    client: Callable[[str], Any], endpoint: Endpoint, target: dict[str, Any]
) -> None:
    assert put(endpoint, control.LAB_PATH, {"present": True})[0] == 204
    try:
        found = client("elbv2").describe_target_health(TargetGroupArn=target["target_group_arn"])
        assert found["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "initial"
    finally:
        assert put(endpoint, control.LAB_PATH, {"present": False})[0] == 204
    found = client("elbv2").describe_target_health(TargetGroupArn=target["target_group_arn"])
    assert found["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "healthy"


def test_reported_health_is_dropped_when_lab_ends(
    client: Callable[[str], Any], endpoint: Endpoint, target: dict[str, Any]
) -> None:
    put(endpoint, control.TARGET_HEALTH_PATH, [{**target, "state": "unhealthy", "reason": "Target.Timeout"}])
    assert put(endpoint, control.LAB_PATH, {"present": False})[0] == 204
    found = client("elbv2").describe_target_health(TargetGroupArn=target["target_group_arn"])
    assert found["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "healthy"


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (control.LAB_PATH, {}, "present"),
        (control.TARGET_HEALTH_PATH, [{"target_group_arn": "a", "instance_id": "i", "state": "well"}], "well"),
        (control.TARGET_HEALTH_PATH, {"a": 1}, "TypeError"),
    ],
)
def test_invalid_report_is_rejected_with_message(endpoint: Endpoint, path: str, body: Any, message: str) -> None:
    status, text = put(endpoint, path, body)
    assert status == 400
    assert message in text


def test_only_put_is_allowed(endpoint: Endpoint) -> None:
    assert put(endpoint, control.LAB_PATH, {"present": True}, "POST")[0] == 405
