"""Views of load balancers as the fabric makes them, for tests of the front door."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ollama_gpu.lab.front_door import view
from ollama_gpu.lab.front_door.view import (
    DEFAULT,
    Certificate,
    Condition,
    FixedResponse,
    Forward,
    FrontDoorView,
    HealthCheck,
    Listener,
    LoadBalancer,
    Redirect,
    Rule,
    Target,
    TargetGroup,
)

PREFIX = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
INTERACTIVE = f"{PREFIX}:targetgroup/lab-interactive/0011"
BATCH = f"{PREFIX}:targetgroup/lab-batch/0022"


def target_group(arn: str = INTERACTIVE, targets: tuple[Target, ...] = (), **changes: Any) -> TargetGroup:
    """The fabric's target group: TLS, a cookie of a day, two minutes to drain."""
    made = TargetGroup(
        arn=arn,
        name=arn.split("/")[1],
        protocol="HTTPS",
        protocol_version="HTTP1",
        port=8443,
        algorithm="least_outstanding_requests",
        stickiness=86400,
        deregistration_delay=120,
        slow_start=0,
        health_check=HealthCheck("HTTPS", "traffic-port", "/healthz", 15, 5, 2, 3, "200"),
        targets=targets,
    )
    return replace(made, **changes)


def rule(action: view.Action, *conditions: Condition, priority: int = DEFAULT) -> Rule:
    return Rule(priority, conditions, action)


def front_door(*groups: TargetGroup, rules: tuple[Rule, ...] = (), **changes: Any) -> FrontDoorView:
    """The fabric's load balancer: HTTP redirects, HTTPS forwards to the first group, the health page is hidden."""
    redirect = Redirect(301, "HTTPS", "#{host}", "443", "/#{path}", "#{query}")
    hide = rule(
        FixedResponse(404, "text/plain", "Not found"),
        Condition("path-pattern", ("/healthz", "/healthz/*")),
        priority=1,
    )
    forward = (rule(Forward(((groups[0].arn, 1),))),) if groups else ()
    listeners = (
        Listener(f"{PREFIX}:listener/app/lab/1/1", 80, "HTTP", "", (), (rule(redirect),)),
        Listener(
            f"{PREFIX}:listener/app/lab/1/2",
            443,
            "HTTPS",
            "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
            (Certificate("arn:aws:acm:us-east-1:123456789012:certificate/c", ("chat.example.org",)),),
            (hide, *rules, *forward),
            "max-age=31536000",
        ),
    )
    balancer = LoadBalancer(
        f"{PREFIX}:loadbalancer/app/lab/1", "lab", "lab-1.us-east-1.elb.amazonaws.com", False, 360, True, listeners
    )
    return FrontDoorView((replace(balancer, **changes),), groups)
