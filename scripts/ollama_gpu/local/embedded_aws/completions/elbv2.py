"""Elastic Load Balancing v2: scheme, SSL policy, load balancers of a target group, and deletion protection.

moto 5.2.5 omits the scheme of an internet-facing load balancer, gives HTTP listeners an SSL policy, keeps the load
balancers that a target group had at its first use, and ignores deletion protection.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.elbv2.exceptions import ELBClientError
from moto.elbv2.models import ELBv2Backend, FakeListener, FakeTargetGroup, elbv2_backends

from .patching import around

DEFAULT_SSL_POLICY = "ELBSecurityPolicy-2016-08"


def apply() -> None:
    """Patch moto's Elastic Load Balancing v2."""

    @around(ELBv2Backend, "create_load_balancer")
    def create_load_balancer(original: Callable[..., Any], self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["scheme"] = kwargs.get("scheme") or "internet-facing"
        return original(self, *args, **kwargs)

    @around(ELBv2Backend, "delete_load_balancer")
    def delete_load_balancer(original: Callable[..., Any], self: Any, arn: str) -> Any:
        balancer = self.load_balancers.get(arn)
        if balancer is not None and balancer.attrs.get("deletion_protection.enabled") == "true":
            raise ELBClientError(
                "OperationNotPermitted",
                f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
            )
        return original(self, arn)

    FakeListener.ssl_policy = property(_ssl_policy, _set_ssl_policy)
    FakeTargetGroup.load_balancer_arns = property(_load_balancer_arns, lambda _self, _value: None)


def _ssl_policy(listener: Any) -> str | None:
    if listener.protocol not in ("HTTPS", "TLS"):
        return None
    return listener.given_ssl_policy or DEFAULT_SSL_POLICY


def _set_ssl_policy(listener: Any, policy: str | None) -> None:
    listener.given_ssl_policy = policy


def _load_balancer_arns(target_group: Any) -> list[str]:
    """Return the load balancers that forward to the target group by a listener or rule now."""
    region, account = target_group.arn.split(":")[3:5]
    backend = elbv2_backends[account][region]
    return [
        arn
        for arn, balancer in backend.load_balancers.items()
        if any(
            target_group.arn in backend._get_target_group_arns_from(action_data=action.data)
            for listener in balancer.listeners.values()
            for rule in listener.rules.values()
            for action in rule.actions
        )
    ]
