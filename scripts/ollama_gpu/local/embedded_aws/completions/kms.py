"""KMS: the period of automatic key rotation, which moto 5.2.5 does not store."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from moto.kms.responses import KmsResponse

from .patching import around

DEFAULT_DAYS = 365


def apply() -> None:
    """Patch moto's KMS."""

    @around(KmsResponse, "enable_key_rotation")
    def enable_key_rotation(original: Callable[..., Any], self: Any) -> Any:
        days = self._get_param("RotationPeriodInDays") or DEFAULT_DAYS
        answer = original(self)
        _key(self).rotation_period_in_days = int(days)
        return answer

    @around(KmsResponse, "get_key_rotation_status")
    def get_key_rotation_status(original: Callable[..., Any], self: Any) -> str:
        status = json.loads(original(self))
        key = _key(self)
        status["KeyId"] = key.id
        if status["KeyRotationEnabled"]:
            days = getattr(key, "rotation_period_in_days", DEFAULT_DAYS)
            status["RotationPeriodInDays"] = days
            status["NextRotationDate"] = key.creation_date + timedelta(days=days).total_seconds()
        return json.dumps(status)


def _key(response: Any) -> Any:
    return response.kms_backend.describe_key(response._get_param("KeyId"))
