"""What is in no store: which image, release and models an environment runs, with which variables and secrets.

A record says which version of a secret was current, never its value: that is in Secrets Manager, which keeps the
version that was current before. Deleted secrets come back for as long as their recovery window is open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu import releases
from ollama_gpu.aws import code_of, parameter, put_parameter
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError

from . import points

PARAMETERS = ("image", "models")  # `fabric` is Terraform's own to write
_CURRENT = "AWSCURRENT"


def keep(context: Context, backup: str, created: datetime, arns: Mapping[str, str]) -> int:
    """Write the record of a backup, with its recovery points by part; returns its size in bytes."""
    name = context.environment.name
    content = {
        "backup": backup,
        "created": created.isoformat(),
        "environment": name,
        "commit": releases.current(context.paths.repository),
        "points": dict(arns),
        "parameters": {each: parameter(context.aws, context.contract.parameter(each, name)) for each in PARAMETERS},
        "secrets": {each: _current(context, each) for each in context.contract.secrets},
        "variables": context.environment.variables_file.read_text(encoding="utf-8"),
    }
    body = json.dumps(content, indent=1).encode()
    context.aws.s3.put_object(Bucket=context.artifact_bucket, Key=points.key(context, backup), Body=body)
    return len(body)


def restore(context: Context, record: points.Record) -> None:
    """Make parameters and secrets what the record says. Raises UserError for a secret's version that is gone."""
    name = context.environment.name
    tags = context.contract.driver_tags(name)
    for each, version in record.content["secrets"].items():
        if version is not None:
            _make_current(context, context.contract.secret(each, name), version)
    for each, value in record.content["parameters"].items():
        full = context.contract.parameter(each, name)
        if value is not None and value != parameter(context.aws, full):
            put_parameter(context.aws, full, value, f"Restored from backup {record.id}", tags)
            note(f"configuration: {full} is what it was")
    if record.content["variables"] != context.environment.variables_file.read_text(encoding="utf-8"):
        kept = context.paths.environment(name) / f"backup-{record.id}.tfvars"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(record.content["variables"], encoding="utf-8")
        note(f"configuration: {context.environment.variables_file.name} was another then; compare it with {kept}")


def _current(context: Context, key: str) -> str | None:
    """The id of the secret's current version; None for a secret without a value."""
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
                f"The secret {secret} is gone: {code_of(error)}.", "Deploy, which makes a new one, then restore again."
            ) from error
        stages = _stages(context, secret) or {}
    current = next((each for each, labels in stages.items() if _CURRENT in labels), None)
    if current == version:
        return
    if version not in stages:
        raise UserError(
            f"Secrets Manager no longer has the version {version} of {secret}.",
            "Keep the present one, and restore the other parts with --only.",
        )
    moved = {"RemoveFromVersionId": current} if current else {}
    client.update_secret_version_stage(SecretId=secret, VersionStage=_CURRENT, MoveToVersionId=version, **moved)
    note(f"configuration: {secret} is what it was")


def _stages(context: Context, secret: str) -> dict[str, list[str]] | None:
    """The labels of each version; None for a secret that does not exist or is to be deleted."""
    try:
        found = context.aws.secretsmanager.describe_secret(SecretId=secret)
    except ClientError as error:
        if code_of(error) == "ResourceNotFoundException":
            return None
        raise
    return None if found.get("DeletedDate") else found.get("VersionIdsToStages", {})
