"""The application load balancers of the embedded AWS, read with boto3 into plain values.

Only what the edge module of the fabric uses is supported; anything else raises UserError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ollama_gpu.core.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_elbv2.type_defs import ListenerTypeDef, LoadBalancerTypeDef, TargetGroupTypeDef

    from ollama_gpu.core.aws import Aws

DEFAULT = 1 << 31
"""Priority of a listener's default action, which comes after every rule."""


@dataclass(frozen=True)
class Condition:
    """A condition of a rule, fulfilled by any of ``values``.

    ``field`` is AWS's name (path-pattern, host-header, http-header), ``header`` the header's name for http-header.
    """

    field: str
    values: tuple[str, ...]
    header: str = ""


@dataclass(frozen=True)
class Forward:
    """Forwards to a target group, given by its ARN."""

    target_group: str


@dataclass(frozen=True)
class Redirect:
    """Redirects to HTTPS with the same host, path and query; ``status`` is 301 or 302."""

    status: int


@dataclass(frozen=True)
class FixedResponse:
    """A response of the load balancer itself."""

    status: int
    content_type: str
    body: str


Action = Forward | Redirect | FixedResponse


@dataclass(frozen=True)
class Rule:
    """The action for requests that fulfill all conditions. The matching rule with the lowest priority applies."""

    priority: int
    conditions: tuple[Condition, ...]
    action: Action


@dataclass(frozen=True)
class Certificate:
    """A certificate of ACM and its DNS names."""

    arn: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Listener:
    """A port of a load balancer. The first of ``certificates`` is the default; ``hsts`` is the header's value."""

    port: int
    protocol: str
    ssl_policy: str
    certificates: tuple[Certificate, ...]
    rules: tuple[Rule, ...]
    hsts: str = ""


@dataclass(frozen=True)
class LoadBalancer:
    """``idle_timeout`` in seconds."""

    arn: str
    name: str
    dns_name: str
    internal: bool
    idle_timeout: int
    http2: bool
    listeners: tuple[Listener, ...]


@dataclass(frozen=True)
class HealthCheck:
    """A check by HTTPS at the target's port. ``codes`` are such as ``200-299,302``; times are in seconds."""

    path: str
    interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int
    codes: str


@dataclass(frozen=True)
class Target:
    """A registered instance, with the state that the embedded AWS has for it."""

    instance_id: str
    port: int
    state: str


@dataclass(frozen=True)
class TargetGroup:
    """Targets that are reached by HTTPS; a request goes to the one with the fewest outstanding requests.

    Durations are in seconds. ``stickiness`` is the cookie's duration, None without a cookie.
    """

    arn: str
    stickiness: int | None
    deregistration_delay: int
    health_check: HealthCheck
    targets: tuple[Target, ...]

    @property
    def backend(self) -> str:
        """The backend's name in HAProxy: the ARN's last two parts, which are unique in a region."""
        return ".".join(self.arn.rsplit("/", 2)[1:])


@dataclass(frozen=True)
class FrontDoorView:
    """The load balancers, with the published one first, and the target groups that they forward to."""

    load_balancers: tuple[LoadBalancer, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()


def read(aws: Aws) -> FrontDoorView:
    """Return the application load balancers of the region. Raises UserError, and botocore's errors."""
    names: dict[str, tuple[str, ...]] = {}  # of certificates; each is described once
    balancers = tuple(
        _load_balancer(aws, found, names)
        for page in aws.elbv2.get_paginator("describe_load_balancers").paginate()
        for found in page["LoadBalancers"]
        if found["Type"] == "application"
    )
    used = {
        rule.action.target_group
        for balancer in balancers
        for listener in balancer.listeners
        for rule in listener.rules
        if isinstance(rule.action, Forward)
    }
    groups = tuple(
        _target_group(aws, found)
        for page in aws.elbv2.get_paginator("describe_target_groups").paginate()
        for found in page["TargetGroups"]
        if found["TargetGroupArn"] in used
    )
    return FrontDoorView(tuple(sorted(balancers, key=lambda each: (each.internal, each.name))), groups)


def _load_balancer(aws: Aws, found: LoadBalancerTypeDef, names: dict[str, tuple[str, ...]]) -> LoadBalancer:
    arn = found["LoadBalancerArn"]
    attributes = _attributes(aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"])
    listeners = aws.elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    return LoadBalancer(
        arn=arn,
        name=found["LoadBalancerName"],
        dns_name=found["DNSName"],
        internal=found.get("Scheme") == "internal",
        idle_timeout=int(attributes.get("idle_timeout.timeout_seconds") or 60),
        http2=attributes.get("routing.http2.enabled", "true") == "true",
        listeners=tuple(_listener(aws, listener, names) for listener in listeners),
    )


def _listener(aws: Aws, found: ListenerTypeDef, names: dict[str, tuple[str, ...]]) -> Listener:
    arn, secure = found["ListenerArn"], found["Protocol"] == "HTTPS"
    certificates: tuple[Certificate, ...] = ()
    if secure:
        default = [each["CertificateArn"] for each in found.get("Certificates", [])]
        more = [
            each["CertificateArn"]
            for each in aws.elbv2.describe_listener_certificates(ListenerArn=arn)["Certificates"]
            if each["CertificateArn"] not in default
        ]
        certificates = tuple(Certificate(each, _names(aws, each, names)) for each in (*default, *more))
    attributes = _attributes(aws.elbv2.describe_listener_attributes(ListenerArn=arn)["Attributes"])
    rules = aws.elbv2.describe_rules(ListenerArn=arn)["Rules"]
    return Listener(
        port=found["Port"],
        protocol=found["Protocol"],
        ssl_policy=found.get("SslPolicy", ""),
        certificates=certificates,
        rules=tuple(sorted((_rule(each) for each in rules), key=lambda rule: rule.priority)),
        hsts=attributes.get("routing.http.response.strict_transport_security.header_value") or "",
    )


def _names(aws: Aws, arn: str, known: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    if arn not in known:
        described = aws.acm.describe_certificate(CertificateArn=arn)["Certificate"]
        names = [described.get("DomainName", ""), *described.get("SubjectAlternativeNames", [])]
        known[arn] = tuple(dict.fromkeys(name for name in names if name))
    return known[arn]


def _rule(found: Mapping[str, Any]) -> Rule:
    return Rule(
        priority=DEFAULT if found["Priority"] == "default" else int(found["Priority"]),
        conditions=tuple(_condition(each) for each in found.get("Conditions", [])),
        action=_action(found["Actions"]),
    )


def _condition(found: Mapping[str, Any]) -> Condition:
    configs = {
        "host-header": "HostHeaderConfig",
        "http-header": "HttpHeaderConfig",
        "path-pattern": "PathPatternConfig",
    }
    config = found.get(configs.get(found["Field"], ""), {})
    # Rules in the older form have their values next to the field.
    values = config.get("Values") or found.get("Values", [])
    return Condition(found["Field"], tuple(values), config.get("HttpHeaderName", ""))


def _action(found: Iterable[Mapping[str, Any]]) -> Action:
    # The last action decides. A sign-in by the load balancer may come before it; the fabric does not use that.
    action = max(found, key=lambda each: each.get("Order", 0))
    if action["Type"] == "redirect":
        config = {"Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"} | action["RedirectConfig"]
        address = "{Protocol}://{Host}:{Port}{Path}?{Query}".format_map({"Protocol": "", "Port": ""} | config)
        _require("redirects to", address, "HTTPS://#{host}:443/#{path}?#{query}")
        return Redirect(int(config["StatusCode"].removeprefix("HTTP_")))
    if action["Type"] == "fixed-response":
        config = action["FixedResponseConfig"]
        return FixedResponse(
            int(config["StatusCode"]), config.get("ContentType") or "text/plain", config.get("MessageBody") or ""
        )
    groups = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
    _require("the number of target groups in a rule", len(groups), 1)
    return Forward(groups[0]["TargetGroupArn"])


def _target_group(aws: Aws, found: TargetGroupTypeDef) -> TargetGroup:
    arn = found["TargetGroupArn"]
    attributes = _attributes(aws.elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"])
    sticky = attributes.get("stickiness.enabled") == "true" and attributes.get("stickiness.type") == "lb_cookie"
    _require("the protocol of a target group", found["Protocol"], "HTTPS")
    _require("the protocol version of a target group", found.get("ProtocolVersion") or "HTTP1", "HTTP1")
    algorithm = attributes.get("load_balancing.algorithm.type", "round_robin")
    _require("the algorithm of a target group", algorithm, "least_outstanding_requests")
    _require("slow start of a target group", attributes.get("slow_start.duration_seconds") or "0", "0")
    _require("the protocol of a health check", found.get("HealthCheckProtocol", "HTTPS"), "HTTPS")
    _require("the port of a health check", found.get("HealthCheckPort", "traffic-port"), "traffic-port")
    described = aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return TargetGroup(
        arn=arn,
        stickiness=int(attributes.get("stickiness.lb_cookie.duration_seconds") or 86400) if sticky else None,
        deregistration_delay=int(attributes.get("deregistration_delay.timeout_seconds") or 300),
        health_check=HealthCheck(
            path=found.get("HealthCheckPath") or "/",
            interval=found.get("HealthCheckIntervalSeconds", 30),
            timeout=found.get("HealthCheckTimeoutSeconds", 5),
            healthy_threshold=found.get("HealthyThresholdCount", 5),
            unhealthy_threshold=found.get("UnhealthyThresholdCount", 2),
            codes=found.get("Matcher", {}).get("HttpCode", "200"),
        ),
        targets=tuple(
            Target(
                each["Target"]["Id"], int(each["Target"].get("Port") or found["Port"]), each["TargetHealth"]["State"]
            )
            for each in described
        ),
    )


def _attributes(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in found if "Value" in each}


def _require(what: str, found: object, supported: object) -> None:
    if found != supported:
        raise UserError(f"The lab's front door does not support {what} {found}.", f"Use {supported}.")
