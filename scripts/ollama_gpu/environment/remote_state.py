"""Check an environment's Terraform state, list its versions, and restore one when the state is corrupt or deleted.

Restoring an earlier state is not a rollback: it loses track of the resources created since. Use it for a corrupt or
deleted state only. To return to an earlier release, use `ollama-gpu rollback`, which applies that release.
"""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core import s3
from ollama_gpu.core.aws import code_of
from ollama_gpu.core.checks import Check
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import make_folder
from ollama_gpu.environment.context import Context

SHOWN = 20
"""The number of versions that are listed by default."""


@dataclass(frozen=True)
class Version:
    """A version of the state object.

    ``problem`` is the reason why it is not a Terraform state; ``serial`` and ``resources`` are then None.
    """

    identifier: str
    written: datetime
    size: int
    newest: bool
    serial: int | None
    resources: int | None
    problem: str

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "written": self.written.isoformat()}


COLUMNS = ("version", "written (UTC)", "bytes", "serial", "resources", "")


def row(version: Version) -> tuple[str, ...]:
    """A version as a table row for ``COLUMNS``."""
    remark = version.problem or ("current" if version.newest else "")
    counts = ("-" if count is None else str(count) for count in (version.serial, version.resources))
    return (version.identifier, f"{version.written:%Y-%m-%d %H:%M:%S}", str(version.size), *counts, remark)


def location(context: Context) -> tuple[str, str]:
    """The bucket and key of the state."""
    configured = context.environment.backend.get("bucket")
    return configured or context.contract.state_bucket(
        context.aws.identity.account, context.environment.region
    ), context.environment.state_key


def versions(context: Context, newest: int | None = SHOWN) -> list[Version]:
    """The versions of the state, newest first, including deletions. None returns all of them."""
    bucket, key = location(context)
    found: list[dict[str, Any]] = []
    for page in context.aws.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        found += [{**each, "Size": 0, "deleted": True} for each in page.get("DeleteMarkers", []) if each["Key"] == key]
        found += [{**each, "deleted": False} for each in page.get("Versions", []) if each["Key"] == key]
    # S3 lists the later of two versions of the same second first. The sort is stable and keeps that order.
    found.sort(key=lambda each: (each["IsLatest"], each["LastModified"]), reverse=True)
    return [_version(context, bucket, key, each) for each in found[:newest]]


def check(context: Context) -> Check:
    """Preflight's check of the state. A deploy fails with a corrupt state, and creates everything again without one."""
    bucket, key = location(context)
    remedy = f"Restore an earlier version. To list the versions: ollama-gpu state list --env {context.environment.name}"
    body = s3.read(context.aws, bucket, key)
    if body is None:
        markers = context.aws.s3.list_object_versions(Bucket=bucket, Prefix=key).get("DeleteMarkers", [])
        deleted = [each for each in markers if each["Key"] == key and each["IsLatest"]]
        if not deleted:
            return Check("state", "ok", "none yet")
        return Check("state", "failed", f"deleted on {deleted[0]['LastModified']:%Y-%m-%d %H:%M} UTC", remedy)
    problem = _problem(body)
    if problem:
        return Check("state", "failed", f"s3://{bucket}/{key}: {problem}", remedy)
    return Check("state", "ok", f"serial {json.loads(body)['serial']}")


def restore(context: Context, identifier: str, *, force: bool = False) -> tuple[int, Path | None]:
    """Make an earlier version the current state. Holds the state's lock and first saves the current content to disk.

    The restored state gets a higher serial than any version, so that Terraform refuses plans made before. Returns that
    serial, and the file with the replaced content (None if there was none).

    Raises UserError when the current state is sound and ``force`` is false, when the version does not exist or
    is not a state, or when the state is locked.
    """
    bucket, key = location(context)
    client, name = context.aws.s3, context.environment.name
    with _locked(context, bucket, key):
        known = versions(context, None)
        chosen = next((each for each in known if each.identifier == identifier), None)
        if chosen is None or chosen.serial is None:
            why = f"is not a Terraform state: {chosen.problem}" if chosen else "does not exist"
            raise UserError(
                f"The version {identifier} {why}.", f"List the versions: ollama-gpu state list --env {name}", status=2
            )
        current = next((each for each in known if each.newest), None)
        if current and not current.problem and not force:
            raise UserError(
                f"The state of {name} is sound (serial {current.serial}), so there is nothing to repair.",
                f"To return to an earlier release, run: make rollback ENV={name}. An earlier state would lose track of "
                "the resources created since. To replace the state nevertheless, add --force.",
            )
        backup = _save_current(context, bucket, key)
        state = json.loads(client.get_object(Bucket=bucket, Key=key, VersionId=identifier)["Body"].read())
        state["serial"] = max(each.serial for each in known if each.serial is not None) + 1
        content = json.dumps(state, indent=2).encode()
        client.put_object(Bucket=bucket, Key=key, Body=content, ContentType="application/json")
    return int(state["serial"]), backup


def _version(context: Context, bucket: str, key: str, found: dict[str, Any]) -> Version:
    identifier = found["VersionId"]
    if found["deleted"]:
        return Version(identifier, found["LastModified"], 0, found["IsLatest"], None, None, "deleted")
    body = context.aws.s3.get_object(Bucket=bucket, Key=key, VersionId=identifier)["Body"].read()
    problem = _problem(body)
    state = {} if problem else json.loads(body)
    resources = None if problem else len(state["resources"])
    written, newest = found["LastModified"], found["IsLatest"]
    return Version(identifier, written, found["Size"], newest, state.get("serial"), resources, problem)


def _problem(body: bytes) -> str:
    """The reason why these bytes are not a Terraform state; empty if they are one."""
    try:
        state = json.loads(body)
    except ValueError as error:
        return f"{len(body)} bytes that are not valid JSON ({error})" if body else "empty"
    parts = {"version": int, "serial": int, "lineage": str, "resources": list}
    if not isinstance(state, dict) or any(not isinstance(state.get(part), kind) for part, kind in parts.items()):
        return "valid JSON, but not a Terraform state"
    return ""


@contextmanager
def _locked(context: Context, bucket: str, key: str) -> Iterator[None]:
    """Hold Terraform's lock on the state: an object next to the state, created only if it does not exist."""
    client, name, lock = context.aws.s3, context.environment.name, f"{key}.tflock"
    held = {
        "ID": str(uuid.uuid4()),
        "Operation": "ollama-gpu state restore",
        "Info": "",
        "Who": f"{getpass.getuser()}@{socket.gethostname()}",
        "Version": "",
        "Created": datetime.now(UTC).isoformat(),
        "Path": f"{bucket}/{key}",
    }
    try:
        client.put_object(Bucket=bucket, Key=lock, Body=json.dumps(held).encode(), IfNoneMatch="*")
    except ClientError as error:
        if code_of(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise
        raise UserError(
            f"The state of {name} is locked by another run.",
            f"`make preflight ENV={name}` shows the holder, and how to release the lock of a dead run.",
        ) from error
    try:
        yield
    finally:
        client.delete_object(Bucket=bucket, Key=lock)


def _save_current(context: Context, bucket: str, key: str) -> Path | None:
    body = s3.read(context.aws, bucket, key)
    if body is None:
        return None
    folder = context.paths.environment(context.environment.name) / "states"
    make_folder(folder)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tfstate"
    path.touch(mode=0o600)
    path.write_bytes(body)
    note(f"state: the replaced content is saved in {path}, and in the bucket as an earlier version")
    return path
