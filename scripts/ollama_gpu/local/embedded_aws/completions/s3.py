"""S3: lifecycle rules, EventBridge notifications, conditions of bucket policies, and two crashes.

moto 5.2.5 has these defects:

* It does not store NewerNoncurrentVersions of a lifecycle rule. Terraform waits three minutes to read it back, then
  fails.
* GetBucketNotification omits EventBridge, which is a change in every plan.
* It evaluates bucket policies without the context of the request, so "deny requests without TLS" denies every object.
* PutBucketLogging crashes if the policy of the target bucket has the principal "*". DeleteObjects crashes on a delete
  marker.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.models import FakeBucket, FakeDeleteMarker
from moto.s3.responses import S3Response

from .patching import around


def apply() -> None:
    """Patch moto's S3."""
    FakeDeleteMarker.dispose = lambda self, garbage=False: None  # noqa: ARG005 - a marker has no content
    _policies()
    _lifecycle()
    _notifications()


def _policies() -> None:
    @around(FakeBucket, "get_permission")
    def get_permission(original: Callable[..., Any], self: Any, action: str, resource: str) -> Any:
        if self.policy is None:
            return original(self, action, resource)
        # Conditions (TLS, an encryption header, a source) have no meaning on a loopback address.
        unconditional = _policy_with(self.policy, lambda statement: not statement.get("Condition"))
        if not json.loads(unconditional)["Statement"]:
            return PermissionResult.NEUTRAL
        return IAMPolicy(unconditional.decode()).is_action_permitted(action, resource)

    @around(FakeBucket, "set_logging")
    def set_logging(original: Callable[..., Any], self: Any, logging_config: Any, bucket_backend: Any) -> Any:
        target = bucket_backend.buckets.get((logging_config or {}).get("TargetBucket"))
        if target is None or target.policy is None:
            return original(self, logging_config, bucket_backend)
        policy = target.policy
        target.policy = _policy_with(policy, lambda statement: isinstance(statement.get("Principal"), dict))
        try:
            return original(self, logging_config, bucket_backend)
        finally:
            target.policy = policy


def _lifecycle() -> None:
    @around(FakeBucket, "set_lifecycle")
    def set_lifecycle(original: Callable[..., Any], self: Any, rules: list[dict[str, Any]]) -> None:
        original(self, rules)
        for kept, request in zip(self.rules, rules, strict=True):
            expiration = request.get("NoncurrentVersionExpiration") or {}
            kept.newer_noncurrent_versions = expiration.get("NewerNoncurrentVersions")

    @around(S3Response, "get_bucket_lifecycle")
    def get_bucket_lifecycle(original: Callable[..., Any], self: Any) -> Any:
        def complete(answer: dict[str, Any]) -> None:
            kept = self.backend.get_bucket_lifecycle(self.bucket_name)
            for rule, shown in zip(kept, answer["Rules"], strict=True):
                if rule.newer_noncurrent_versions is not None:
                    shown["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] = rule.newer_noncurrent_versions

        return _completed(original, self, complete)


def _notifications() -> None:
    @around(S3Response, "get_bucket_notification")
    def get_bucket_notification(original: Callable[..., Any], self: Any) -> Any:
        def complete(answer: dict[str, Any]) -> None:
            kept = self.backend.get_bucket_notification_configuration(self.bucket_name)
            if kept is not None and kept.event_bridge is not None:
                answer["EventBridgeConfiguration"] = {}

        return _completed(original, self, complete)


def _policy_with(policy: bytes, keep: Callable[[dict[str, Any]], bool]) -> bytes:
    document = json.loads(policy)
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    return json.dumps({**document, "Statement": [each for each in statements if keep(each)]}).encode()


def _completed(original: Callable[..., Any], response: Any, complete: Callable[[dict[str, Any]], None]) -> Any:
    """Call an operation and have ``complete`` change its result before moto serializes it to XML."""
    serialize = response.serialized

    def serialized(result: Any) -> Any:
        if isinstance(result.result, dict):
            complete(result.result)
        return serialize(result)

    response.serialized = serialized
    try:
        return original(response)
    finally:
        del response.serialized
