"""What the embedded AWS says of its application load balancers: read by boto3, plain values afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_elbv2.type_defs import ListenerTypeDef, LoadBalancerTypeDef, TargetGroupTypeDef

    from ollama_gpu.aws import Aws

DEFAULT = 1 << 31
"""Priority of a listener's default action: after every rule."""


@dataclass(frozen=True)
class Condition:
    """``field`` is AWS's name of it (path-pattern, ...); any of ``values`` fulfils it. ``header`` for http-header only.

    Of a query-string, ``values`` are ``key=value`` patterns, or patterns of a value alone.
    """

    field: str
    values: tuple[str, ...]
    header: str = ""


@dataclass(frozen=True)
class Forward:
    """Target groups by ARN, each with its weight."""

    groups: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Redirect:
    """A new address with AWS's placeholders such as ``#{host}``; ``status`` is 301 or 302."""

    status: int
    protocol: str
    host: str
    port: str
    path: str
    query: str


@dataclass(frozen=True)
class FixedResponse:
    """An answer without any target."""

    status: int
    content_type: str
    body: str


Action = Forward | Redirect | FixedResponse


@dataclass(frozen=True)
class Rule:
    """The action for requests that fulfil all conditions; the lowest priority that fits is taken."""

    priority: int
    conditions: tuple[Condition, ...]
    action: Action


@dataclass(frozen=True)
class Certificate:
    """A certificate of ACM and the DNS names that it is for."""

    arn: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Listener:
    """A port of a load balancer. The first of ``certificates`` is the default one; ``hsts`` the header's value."""

    arn: str
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
    """``port`` is a number or ``traffic-port``, ``codes`` such as ``200-299,302``; times in seconds."""

    protocol: str
    port: str
    path: str
    interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int
    codes: str


@dataclass(frozen=True)
class Target:
    """An instance as it is registered, with the state that the embedded AWS believes it in."""

    instance_id: str
    port: int
    state: str


@dataclass(frozen=True)
class TargetGroup:
    """Durations in seconds; ``stickiness`` is that of the cookie, None without."""

    arn: str
    name: str
    protocol: str
    protocol_version: str
    port: int
    algorithm: str
    stickiness: int | None
    deregistration_delay: int
    slow_start: int
    health_check: HealthCheck
    targets: tuple[Target, ...]

    @property
    def backend(self) -> str:
        """Its name in HAProxy: the ARN's last two parts, unique in a region."""
        return ".".join(self.arn.rsplit("/", 2)[1:])


@dataclass(frozen=True)
class FrontDoorView:
    """The load balancers, the one that is published first, and the target groups that they forward to."""

    load_balancers: tuple[LoadBalancer, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()


def read(aws: Aws) -> FrontDoorView:
    """The application load balancers of the region. Raises botocore's errors."""
    names: dict[str, tuple[str, ...]] = {}  # of certificates, each asked for once
    balancers = tuple(
        _load_balancer(aws, found, names)
        for page in aws.elbv2.get_paginator("describe_load_balancers").paginate()
        for found in page["LoadBalancers"]
        if found["Type"] == "application"
    )
    used = {
        arn
        for balancer in balancers
        for listener in balancer.listeners
        for rule in listener.rules
        if isinstance(rule.action, Forward)
        for arn, _ in rule.action.groups
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
    said = aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    attributes = _attributes(said)
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
        arn=arn,
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
    field = found["Field"]
    keys = {
        "host-header": "HostHeaderConfig",
        "http-header": "HttpHeaderConfig",
        "http-request-method": "HttpRequestMethodConfig",
        "path-pattern": "PathPatternConfig",
        "query-string": "QueryStringConfig",
        "source-ip": "SourceIpConfig",
    }
    config = found.get(keys[field], {})
    # A rule of old has its values beside the field.
    values = config.get("Values") or found.get("Values", [])
    if field == "query-string":
        values = [f"{each['Key']}={each['Value']}" if each.get("Key") else each["Value"] for each in values]
    return Condition(field, tuple(values), config.get("HttpHeaderName", ""))


def _action(found: Iterable[Mapping[str, Any]]) -> Action:
    # The last one decides. Before it there may be a sign-in by the load balancer, which the fabric does not use.
    action = max(found, key=lambda each: each.get("Order", 0))
    if action["Type"] == "redirect":
        config = action["RedirectConfig"]
        return Redirect(
            status=int(config["StatusCode"].removeprefix("HTTP_")),
            protocol=config.get("Protocol", "#{protocol}"),
            host=config.get("Host", "#{host}"),
            port=config.get("Port", "#{port}"),
            path=config.get("Path", "/#{path}"),
            query=config.get("Query", "#{query}"),
        )
    if action["Type"] == "fixed-response":
        config = action["FixedResponseConfig"]
        return FixedResponse(
            int(config["StatusCode"]), config.get("ContentType") or "text/plain", config.get("MessageBody") or ""
        )
    groups = action.get("ForwardConfig", {}).get("TargetGroups") or [{"TargetGroupArn": action["TargetGroupArn"]}]
    return Forward(tuple((each["TargetGroupArn"], int(each.get("Weight", 1))) for each in groups))


def _target_group(aws: Aws, found: TargetGroupTypeDef) -> TargetGroup:
    arn = found["TargetGroupArn"]
    attributes = _attributes(aws.elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"])
    sticky = attributes.get("stickiness.enabled") == "true" and attributes.get("stickiness.type") == "lb_cookie"
    described = aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return TargetGroup(
        arn=arn,
        name=found["TargetGroupName"],
        protocol=found["Protocol"],
        protocol_version=found.get("ProtocolVersion") or "HTTP1",
        port=found["Port"],
        algorithm=attributes.get("load_balancing.algorithm.type", "round_robin"),
        stickiness=int(attributes.get("stickiness.lb_cookie.duration_seconds") or 86400) if sticky else None,
        deregistration_delay=int(attributes.get("deregistration_delay.timeout_seconds") or 300),
        slow_start=int(attributes.get("slow_start.duration_seconds") or 0),
        health_check=HealthCheck(
            protocol=found.get("HealthCheckProtocol", found["Protocol"]),
            port=found.get("HealthCheckPort", "traffic-port"),
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
