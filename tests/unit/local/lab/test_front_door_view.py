"""The front door reads the load balancers that terraform/modules/edge creates, and refuses what it does not support."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from ollama_gpu.core.aws import Aws
from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.front_door import read
from ollama_gpu.local.lab.front_door.view import Condition, FixedResponse, Forward, HealthCheck, Redirect

REGION = "us-east-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Aws(REGION)


def create(aws: Aws, redirect: dict[str, str] | None = None, **attributes: str) -> tuple[str, str]:
    """Create the fabric's load balancer; return the ARNs of the target group and the HTTPS listener."""
    vpc = aws.ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        str(
            aws.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{n}.0/24", AvailabilityZone=f"{REGION}{zone}")["Subnet"][
                "SubnetId"
            ]
        )
        for n, zone in enumerate("ab")
    ]
    group = aws.elbv2.create_target_group(
        Name="lab-interactive", Protocol="HTTPS", Port=8443, VpcId=vpc, TargetType="instance",
        HealthCheckProtocol="HTTPS", HealthCheckPath="/healthz", HealthCheckIntervalSeconds=15,
        HealthCheckTimeoutSeconds=5, HealthyThresholdCount=2, UnhealthyThresholdCount=3, Matcher={"HttpCode": "200"},
    )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
    values = {"load_balancing.algorithm.type": "least_outstanding_requests"} | attributes
    aws.elbv2.modify_target_group_attributes(
        TargetGroupArn=group, Attributes=[{"Key": key, "Value": value} for key, value in values.items()]
    )
    balancer = aws.elbv2.create_load_balancer(Name="lab", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    certificate = aws.acm.request_certificate(DomainName="chat.example.org", ValidationMethod="DNS")["CertificateArn"]
    # Terraform's provider sends the placeholders, too.
    placeholders = {"Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}
    config: Any = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"} | placeholders | (redirect or {})
    aws.elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80,
        DefaultActions=[{"Type": "redirect", "RedirectConfig": config}],
    )  # fmt: skip
    listener = aws.elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTPS", Port=443, SslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        Certificates=[{"CertificateArn": certificate}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )["Listeners"][0]["ListenerArn"]  # fmt: skip
    return group, listener


def add_rule(aws: Aws, listener: str, action: dict[str, Any]) -> None:
    header: Any = {"HttpHeaderName": "X-Fleet", "Values": ["bat*"]}
    aws.elbv2.create_rule(
        ListenerArn=listener,
        Priority=7,
        Conditions=[{"Field": "http-header", "HttpHeaderConfig": header}],
        Actions=[action],  # type: ignore[list-item]
    )


def test_load_balancer_of_the_fabric_is_read(aws: Aws) -> None:
    group, listener = create(aws)
    add_rule(aws, listener, {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}})
    view = read(aws)
    http, https = sorted(view.load_balancers[0].listeners, key=lambda each: each.port)
    assert [rule.action for rule in http.rules] == [Redirect(301)]
    assert [rule.action for rule in https.rules] == [FixedResponse(404, "text/plain", ""), Forward(group)]
    assert https.rules[0].conditions == (Condition("http-header", ("bat*",), "X-Fleet"),)
    assert https.certificates[0].names == ("chat.example.org",)
    assert [each.health_check for each in view.target_groups] == [HealthCheck("/healthz", 15, 5, 2, 3, "200")]


@pytest.mark.parametrize(
    ("redirect", "attributes", "unsupported"),
    [
        ({"Host": "example.org"}, {}, "redirects to HTTPS://example.org:443"),
        ({"Port": "8443"}, {}, "redirects to"),
        ({}, {"load_balancing.algorithm.type": "round_robin"}, "the algorithm of a target group round_robin"),
        ({}, {"slow_start.duration_seconds": "30"}, "slow start of a target group 30"),
    ],
)
def test_load_balancer_that_the_fabric_does_not_create_is_refused(
    aws: Aws, redirect: dict[str, str], attributes: dict[str, str], unsupported: str
) -> None:
    create(aws, redirect, **attributes)
    with pytest.raises(UserError, match=unsupported):
        read(aws)


def test_weighted_forward_is_refused(aws: Aws) -> None:
    group, listener = create(aws)
    weighted = [{"TargetGroupArn": group, "Weight": 1}, {"TargetGroupArn": group, "Weight": 3}]
    add_rule(aws, listener, {"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}})
    with pytest.raises(UserError, match="number of target groups"):
        read(aws)
