"""Load balancing publishes the numbers of healthy and unhealthy targets."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.elbv2.models import elbv2_backends

from ollama_gpu.local.embedded_aws import autoscaling
from ollama_gpu.local.embedded_aws.completions import apply_all, elbv2_metrics

ACCOUNT, REGION = "123456789012", "us-east-1"
NOW = datetime(2026, 11, 23, 12, 0)


@pytest.fixture
def groups() -> Any:
    """Two target groups: one with two instances and a load balancer, one without a load balancer."""
    apply_all()
    autoscaling.apply()
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    with mock_aws():
        ec2, elb = session.client("ec2"), session.client("elbv2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
            for index, zone in enumerate(("us-east-1a", "us-east-1b"))
        ]
        balancer = elb.create_load_balancer(Name="front", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        used, unused = (
            elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"]
            for name in ("used", "unused")
        )
        elb.create_listener(
            LoadBalancerArn=balancer,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": used}],
        )
        image = ec2.describe_images()["Images"][0]["ImageId"]
        ran = ec2.run_instances(ImageId=image, MinCount=2, MaxCount=2, SubnetId=subnets[0])["Instances"]
        elb.register_targets(TargetGroupArn=used, Targets=[{"Id": each["InstanceId"]} for each in ran])
        yield used, unused, [each["InstanceId"] for each in ran]


def published(arn: str) -> dict[str, float]:
    backend = elbv2_backends[ACCOUNT][REGION]
    data = elbv2_metrics.counts(backend, backend.target_groups[arn], NOW)
    return {each["MetricName"]: each["Value"] for each in data}


def test_healthy_and_unhealthy_targets_are_counted(groups: Any) -> None:
    used, _, instances = groups
    assert published(used) == {"HealthyHostCount": 2, "UnHealthyHostCount": 0}
    autoscaling.set_target_health(ACCOUNT, REGION, used, instances[0], "unhealthy", "Target.Timeout")
    assert published(used) == {"HealthyHostCount": 1, "UnHealthyHostCount": 1}


def test_target_group_without_load_balancer_publishes_nothing(groups: Any) -> None:
    assert published(groups[1]) == {}


def test_dimensions_are_those_of_aws(groups: Any) -> None:
    backend = elbv2_backends[ACCOUNT][REGION]
    [first, *_] = elbv2_metrics.counts(backend, backend.target_groups[groups[0]], NOW)
    dimensions = {each["Name"]: each["Value"] for each in first["Dimensions"]}
    assert dimensions["LoadBalancer"].startswith("app/front/")
    assert dimensions["TargetGroup"].startswith("targetgroup/used/")


def test_target_group_without_targets_publishes_nothing(groups: Any) -> None:
    used, _, instances = groups
    boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION).client(
        "elbv2"
    ).deregister_targets(TargetGroupArn=used, Targets=[{"Id": each} for each in instances])
    assert published(used) == {}
