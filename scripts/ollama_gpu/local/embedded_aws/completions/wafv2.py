"""WAF: ListResourcesForWebACL, and protection of associated web ACLs.

moto 5.2.5 lacks the operation and deletes a web ACL that a load balancer still uses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.wafv2.exceptions import WAFNonexistentItemException, WAFv2ClientError
from moto.wafv2.models import WAFV2Backend
from moto.wafv2.responses import WAFV2Response

from .patching import add_operations, around

ARN_PARTS = {"APPLICATION_LOAD_BALANCER": ":loadbalancer/app/", "API_GATEWAY": "::/restapis/"}


def apply() -> None:
    """Patch moto's WAFv2."""
    # the method name into which moto converts ListResourcesForWebACL
    add_operations(WAFV2Response, list_resources_for_web_acl)

    @around(WAFV2Backend, "delete_web_acl")
    def delete_web_acl(original: Callable[..., Any], self: Any, name: str, scope: str, _id: str, token: str) -> Any:
        for acl in self.wacls.values():
            if acl.id == _id and acl.associated_resources:
                raise WAFv2ClientError(
                    "WAFAssociatedItemException",
                    "AWS WAF couldn't perform the operation: the resource is being used by another one.",
                )
        return original(self, name, scope, _id, token)

    @around(WAFV2Backend, "associate_web_acl")
    def associate_web_acl(original: Callable[..., Any], self: Any, web_acl_arn: str, resource_arn: str) -> Any:
        self.disassociate_web_acl(resource_arn)  # a resource has one web ACL: replace the old one
        return original(self, web_acl_arn, resource_arn)


def list_resources_for_web_acl(self: Any) -> tuple[int, dict[str, str], str]:
    """ListResourcesForWebACL, by default for load balancers, as on AWS."""
    request = json.loads(self.body)
    acl = self.wafv2_backend.wacls.get(request["WebACLArn"])
    if acl is None:
        raise WAFNonexistentItemException
    part = ARN_PARTS.get(request.get("ResourceType", "APPLICATION_LOAD_BALANCER"))
    arns = [arn for arn in acl.associated_resources if part and part in arn]
    return 200, {"Content-Type": "application/json"}, json.dumps({"ResourceArns": arns})
