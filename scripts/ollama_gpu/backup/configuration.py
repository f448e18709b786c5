"""Backup and restore of the configuration: image, release, models, variables and secrets.

A record names the current version of each secret, never its value. Secrets Manager has the values and keeps the
previous version. A deleted secret can be restored during its recovery window.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core.aws import code_of, parameter, put_parameter
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.releases import release

from . import points

PARAMETERS = ("image", "models")  # Terraform writes `fabric`
_CURRENT = "AWSCURRENT"


def save(context: Context, backup: str, created: datetime, arns: Mapping[str, str]) -> int:
    """Write the record of a backup, with the ARNs of its recovery points by part. Returns the size in bytes."""
    name = context.environment.name
    content = {
        "backup": backup,
        "created": created.isoformat(),
        "environment": name,
        "commit": release.current(context.paths.repository),
        "points": dict(arns),
        "parameters": {each: parameter(context.aws, context.contract.parameter(each, name)) for each in PARAMETERS},
        "secrets": {each: _current(context, each) for each in context.contract.secrets},
        "variables": context.environment.variables_file.read_text(encoding="utf-8"),
    }
    body = json.dumps(content, indent=1).encode()
    context.aws.s3.put_object(Bucket=context.artifact_bucket, Key=points.key(context, backup), Body=body)
    return len(body)


def restore(context: Context, record: points.Record) -> None:
    """Restore parameters and secrets from a record. Raises UserError if a version of a secret no longer exists."""
    name = context.environment.name
    tags = context.contract.driver_tags(name)
    for each, version in record.content["secrets"].items():
        if version is not None:
            _make_current(context, context.contract.secret(each, name), version)
    for each, value in record.content["parameters"].items():
        full = context.contract.parameter(each, name)
        if value is not None and value != parameter(context.aws, full):
            put_parameter(context.aws, full, value, f"Restored from backup {record.id}", tags)
            note(f"configuration: restored {full}")
    if record.content["variables"] != context.environment.variables_file.read_text(encoding="utf-8"):
        backed_up = context.paths.environment(name) / f"backup-{record.id}.tfvars"
        backed_up.parent.mkdir(parents=True, exist_ok=True)
        backed_up.write_text(record.content["variables"], encoding="utf-8")
        current = context.environment.variables_file.name
        note(f"configuration: {current} differs from the backup. The variables of the backup are in {backed_up}")


def _current(context: Context, key: str) -> str | None:
    """Return the id of the secret's current version, None for a secret without a value."""
    stages = _stages(context, context.contract.secret(key, context.environment.name)) or {}
    return next((version for version, labels in stages.items() if _CURRENT in labels), None)


def _make_current(context: Context, secret: str, version: str) -> None:
    client: Any = context.aws.secretsmanager
    stages = _stages(context, secret)
    if stages is None:
        try:
            client.restore_secret(SecretId=secret)
        except ClientError as error:
            raise UserError(
                f"The secret {secret} cannot be restored: {code_of(error)}.",
                "Deploy to create a new secret, then restore again.",
            ) from error
        stages = _stages(context, secret) or {}
    current = next((each for each, labels in stages.items() if _CURRENT in labels), None)
    if current == version:
        return
    if version not in stages:
        raise UserError(
            f"Secrets Manager no longer has the version {version} of {secret}.",
            "Keep the current version, and restore the other parts with --only.",
        )
    moved = {"RemoveFromVersionId": current} if current else {}
    client.update_secret_version_stage(SecretId=secret, VersionStage=_CURRENT, MoveToVersionId=version, **moved)
    note(f"configuration: restored {secret}")


def _stages(context: Context, secret: str) -> dict[str, list[str]] | None:
    """Return the staging labels of each version, None if the secret does not exist or is scheduled for deletion."""
    try:
        found = context.aws.secretsmanager.describe_secret(SecretId=secret)
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise
    return None if found.get("DeletedDate") else found.get("VersionIdsToStages", {})
