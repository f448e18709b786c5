"""The credentials of instance roles: temporary ones from STS, renewed long before they expire, as on EC2."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ollama_gpu.core.aws import Aws

from .view import Instance

LIFE = timedelta(hours=1)
RENEW_BEFORE = timedelta(minutes=30)
"""The SDKs ask again 15 minutes before the expiration and expect new credentials then."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class _Kept:
    keys: dict[str, str]
    until: datetime


class Credentials:
    """A cache of credentials by instance."""

    def __init__(self, aws: Aws) -> None:
        self._sts = aws.sts  # created here, because creating boto3 clients is not thread-safe, and threads call `of`
        self._kept: dict[str, _Kept] = {}

    def of(self, instance: Instance) -> dict[str, str]:
        """Return the credentials document of the metadata service: the same one until its renewal."""
        now = datetime.now(UTC)
        kept = self._kept.get(instance.identifier)
        if kept is None or kept.until - now < RENEW_BEFORE:
            kept = self._ask(instance, now)
            self._kept[instance.identifier] = kept
        return kept.keys

    def forget(self, present: Collection[str]) -> None:
        """Forget the credentials of instances that are not present."""
        self._kept = {key: value for key, value in self._kept.items() if key in present}

    def _ask(self, instance: Instance, now: datetime) -> _Kept:
        answer = self._sts.assume_role(
            RoleArn=instance.role, RoleSessionName=instance.identifier, DurationSeconds=int(LIFE.total_seconds())
        )["Credentials"]
        keys = {
            "Code": "Success",
            "LastUpdated": now.strftime(_TIME),
            "Type": "AWS-HMAC",
            "AccessKeyId": answer["AccessKeyId"],
            "SecretAccessKey": answer["SecretAccessKey"],
            "Token": answer["SessionToken"],
            "Expiration": answer["Expiration"].astimezone(UTC).strftime(_TIME),
        }
        return _Kept(keys, answer["Expiration"])
