"""Load balancers: scheme, SSL policy, users of a target group, deletion protection, web ACL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

Client = Callable[[str], Any]


@pytest.fixture
def balancer(client: Client, name: str, network: dict[str, Any]) -> str:
    created = client("elbv2").create_load_balancer(Name=name, Subnets=network["subnets"])
    arn: str = created["LoadBalancers"][0]["LoadBalancerArn"]
    return arn


@pytest.fixture
def target_group(client: Client, name: str, network: dict[str, Any]) -> str:
    created = client("elbv2").create_target_group(Name=name, Protocol="HTTPS", Port=8443, VpcId=network["vpc"])
    arn: str = created["TargetGroups"][0]["TargetGroupArn"]
    return arn


NOT_FOUND = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}


def test_load_balancer_has_scheme(client: Client, name: str, network: dict[str, Any], balancer: str) -> None:
    client("elbv2").create_load_balancer(Name=f"{name}-in", Subnets=network["subnets"], Scheme="internal")
    found = client("elbv2").describe_load_balancers(Names=[name, f"{name}-in"])["LoadBalancers"]
    assert {each["LoadBalancerName"]: each["Scheme"] for each in found} == {
        name: "internet-facing",
        f"{name}-in": "internal",
    }


def test_http_listener_has_no_ssl_policy(client: Client, balancer: str) -> None:
    created = client("elbv2").create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[NOT_FOUND]
    )
    assert "SslPolicy" not in created["Listeners"][0]


@pytest.mark.parametrize(
    ("given", "read"), [("ELBSecurityPolicy-TLS13-1-2-2021-06",) * 2, (None, "ELBSecurityPolicy-2016-08")]
)
def test_https_listener_has_given_or_default_ssl_policy(
    client: Client, name: str, balancer: str, given: str | None, read: str
) -> None:
    certificate = client("acm").request_certificate(DomainName=f"{name}.test", ValidationMethod="DNS")
    more = {"SslPolicy": given} if given else {}
    created = client("elbv2").create_listener(
        LoadBalancerArn=balancer,
        Protocol="HTTPS",
        Port=443,
        Certificates=[{"CertificateArn": certificate["CertificateArn"]}],
        DefaultActions=[NOT_FOUND],
        **more,
    )
    assert created["Listeners"][0]["SslPolicy"] == read


def test_target_group_lists_current_load_balancers(client: Client, balancer: str, target_group: str) -> None:
    elb = client("elbv2")

    def users() -> list[str]:
        arns: list[str] = elb.describe_target_groups(TargetGroupArns=[target_group])["TargetGroups"][0][
            "LoadBalancerArns"
        ]
        return arns

    created = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[NOT_FOUND])
    listener = created["Listeners"][0]["ListenerArn"]
    assert users() == []
    forward = {"Type": "forward", "TargetGroupArn": target_group}
    elb.modify_listener(ListenerArn=listener, DefaultActions=[forward])
    assert users() == [balancer]
    with pytest.raises(ClientError, match="ResourceInUse"):
        elb.delete_target_group(TargetGroupArn=target_group)
    elb.delete_listener(ListenerArn=listener)
    assert users() == []
    elb.delete_target_group(TargetGroupArn=target_group)


def test_deletion_protection_prevents_deletion(client: Client, balancer: str) -> None:
    elb = client("elbv2")
    for value in ("true", "false"):
        elb.modify_load_balancer_attributes(
            LoadBalancerArn=balancer, Attributes=[{"Key": "deletion_protection.enabled", "Value": value}]
        )
        if value == "true":
            with pytest.raises(ClientError, match="OperationNotPermitted"):
                elb.delete_load_balancer(LoadBalancerArn=balancer)
    elb.delete_load_balancer(LoadBalancerArn=balancer)


@pytest.fixture
def web_acl(client: Client, name: str) -> dict[str, Any]:
    summary: dict[str, Any] = client("wafv2").create_web_acl(
        Name=name,
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={
            "SampledRequestsEnabled": True,
            "CloudWatchMetricsEnabled": True,
            "MetricName": name,
        },
    )["Summary"]
    return summary


def test_associated_web_acl_lists_its_resources_and_cannot_be_deleted(
    client: Client, balancer: str, web_acl: dict[str, Any]
) -> None:
    waf = client("wafv2")
    assert waf.list_resources_for_web_acl(WebACLArn=web_acl["ARN"])["ResourceArns"] == []
    waf.associate_web_acl(WebACLArn=web_acl["ARN"], ResourceArn=balancer)
    assert waf.list_resources_for_web_acl(WebACLArn=web_acl["ARN"])["ResourceArns"] == [balancer]
    key = {"Name": web_acl["Name"], "Scope": "REGIONAL", "Id": web_acl["Id"], "LockToken": web_acl["LockToken"]}
    with pytest.raises(ClientError, match="WAFAssociatedItemException"):
        waf.delete_web_acl(**key)
    waf.disassociate_web_acl(ResourceArn=balancer)
    waf.delete_web_acl(**key)


def test_web_acl_logging_reads_back(client: Client, web_acl: dict[str, Any]) -> None:
    waf = client("wafv2")
    wanted = {
        "ResourceArn": web_acl["ARN"],
        "LogDestinationConfigs": ["arn:aws:logs:us-east-1:123456789012:log-group:aws-waf-logs-x"],
        "RedactedFields": [{"SingleHeader": {"Name": "authorization"}}],
    }
    waf.put_logging_configuration(LoggingConfiguration=wanted)
    read = waf.get_logging_configuration(ResourceArn=web_acl["ARN"])["LoggingConfiguration"]
    assert read.items() >= wanted.items()
    waf.delete_logging_configuration(ResourceArn=web_acl["ARN"])
    with pytest.raises(ClientError, match="WAFNonexistentItemException"):
        waf.get_logging_configuration(ResourceArn=web_acl["ARN"])
