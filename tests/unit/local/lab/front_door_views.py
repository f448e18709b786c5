"""Views of load balancers as the fabric creates them, for tests of the front door."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ollama_gpu.local.lab.front_door import view
from ollama_gpu.local.lab.front_door.view import (
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
    """Return the fabric's target group: a cookie for one day, two minutes to drain."""
    group = TargetGroup(
        arn=arn,
        stickiness=86400,
        deregistration_delay=120,
        health_check=HealthCheck("/healthz", 15, 5, 2, 3, "200"),
        targets=targets,
    )
    return replace(group, **changes)


def rule(action: view.Action, *conditions: Condition, priority: int = DEFAULT) -> Rule:
    return Rule(priority, conditions, action)


def front_door(*groups: TargetGroup, rules: tuple[Rule, ...] = (), **changes: Any) -> FrontDoorView:
    """Return the fabric's load balancer: HTTP redirects, HTTPS forwards to the first group, no health page."""
    redirect = Redirect(301)
    hide = rule(
        FixedResponse(404, "text/plain", "Not found"),
        Condition("path-pattern", ("/healthz", "/healthz/*")),
        priority=1,
    )
    forward = (rule(Forward(groups[0].arn)),) if groups else ()
    listeners = (
        Listener(80, "HTTP", "", (), (rule(redirect),)),
        Listener(
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
