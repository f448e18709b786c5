"""The state object of an environment and its earlier versions, for when the object itself is broken or gone.

Bringing back an earlier state is no rollback: it forgets what exists since. Here it is for corruption only; going back
is `ollama-gpu rollback`, which applies an earlier release.
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

from ollama_gpu import s3
from ollama_gpu.aws import Aws, code_of
from ollama_gpu.checks import Check
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.contract import Contract
from ollama_gpu.environments import Environment
from ollama_gpu.errors import UserError
from ollama_gpu.paths import make_folder

SHOWN = 20


@dataclass(frozen=True)
class Version:
    """A version of the state object. ``problem`` says why it is no state; then serial and resources are None."""

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
    """A version as a line of a table."""
    remark = version.problem or ("the present one" if version.newest else "")
    counts = ("-" if count is None else str(count) for count in (version.serial, version.resources))
    return (version.identifier, f"{version.written:%Y-%m-%d %H:%M:%S}", str(version.size), *counts, remark)


def place(environment: Environment, contract: Contract, aws: Aws) -> tuple[str, str]:
    """Bucket and key of the state."""
    given = environment.backend.get("bucket")
    return given or contract.state_bucket(aws.identity.account, environment.region), environment.state_key


def versions(context: Context, newest: int | None = SHOWN) -> list[Version]:
    """Newest first, deletions among them."""
    bucket, key = place(context.environment, context.contract, context.aws)
    found: list[dict[str, Any]] = []
    for page in context.aws.s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        found += [{**each, "Size": 0, "gone": True} for each in page.get("DeleteMarkers", []) if each["Key"] == key]
        found += [{**each, "gone": False} for each in page.get("Versions", []) if each["Key"] == key]
    # Of two in one second the later one is listed first: a stable sort keeps that.
    found.sort(key=lambda each: (each["IsLatest"], each["LastModified"]), reverse=True)
    return [_version(context, bucket, key, each) for each in found[:newest]]


def check(environment: Environment, contract: Contract, aws: Aws) -> Check:
    """Preflight's row: over a broken state a deploy fails, over a deleted one it makes everything anew."""
    bucket, key = place(environment, contract, aws)
    remedy = f"Bring an earlier version back: ollama-gpu state list --env {environment.name}"
    body = s3.read(aws, bucket, key)
    if body is None:
        markers = aws.s3.list_object_versions(Bucket=bucket, Prefix=key).get("DeleteMarkers", [])
        deleted = [each for each in markers if each["Key"] == key and each["IsLatest"]]
        if not deleted:
            return Check("state", "ok", "none yet")
        return Check("state", "failed", f"deleted on {deleted[0]['LastModified']:%Y-%m-%d %H:%M} UTC", remedy)
    problem = _problem(body)
    if problem:
        return Check("state", "failed", f"s3://{bucket}/{key}: {problem}", remedy)
    return Check("state", "ok", f"serial {json.loads(body)['serial']}")


def restore(context: Context, identifier: str, *, although_sound: bool = False) -> tuple[int, Path | None]:
    """Make an earlier version the present state, under the state's lock and with what is there kept on disk first.

    Its serial becomes higher than that of any version, so that no plan made before is taken for one of it. Returns the
    serial, and the file with what was there (None where nothing was). Raises UserError when the present state is sound,
    for then nothing is to be mended, or when the version is none.
    """
    bucket, key = place(context.environment, context.contract, context.aws)
    client, name = context.aws.s3, context.environment.name
    with _locked(context, bucket, key):
        known = versions(context, None)
        wanted = next((each for each in known if each.identifier == identifier), None)
        if wanted is None or wanted.serial is None:
            why = f"is no state: {wanted.problem}" if wanted else "does not exist"
            raise UserError(
                f"The version {identifier} {why}.", f"See which there are: ollama-gpu state list --env {name}", status=2
            )
        present = next((each for each in known if each.newest), None)
        if present and not present.problem and not although_sound:
            raise UserError(
                f"The state of {name} is sound (serial {present.serial}): there is nothing to mend.",
                f"To go back to an earlier release: make rollback ENV={name}. An earlier state would only forget what "
                "exists since. If it must be: --although-sound.",
            )
        backup = _keep(context, bucket, key)
        state = json.loads(client.get_object(Bucket=bucket, Key=key, VersionId=identifier)["Body"].read())
        state["serial"] = max(each.serial for each in known if each.serial is not None) + 1
        content = json.dumps(state, indent=2).encode()
        client.put_object(Bucket=bucket, Key=key, Body=content, ContentType="application/json")
    return int(state["serial"]), backup


def _version(context: Context, bucket: str, key: str, found: dict[str, Any]) -> Version:
    identifier = found["VersionId"]
    if found["gone"]:
        return Version(identifier, found["LastModified"], 0, found["IsLatest"], None, None, "deleted")
    body = context.aws.s3.get_object(Bucket=bucket, Key=key, VersionId=identifier)["Body"].read()
    problem = _problem(body)
    state = {} if problem else json.loads(body)
    resources = None if problem else len(state["resources"])
    written, newest = found["LastModified"], found["IsLatest"]
    return Version(identifier, written, found["Size"], newest, state.get("serial"), resources, problem)


def _problem(body: bytes) -> str:
    """Why these bytes are no state of Terraform; empty when they are one."""
    try:
        state = json.loads(body)
    except ValueError as error:
        return f"{len(body)} bytes that are no JSON ({error})" if body else "empty"
    parts = {"version": int, "serial": int, "lineage": str, "resources": list}
    if not isinstance(state, dict) or any(not isinstance(state.get(part), kind) for part, kind in parts.items()):
        return "JSON, but no state of Terraform"
    return ""


@contextmanager
def _locked(context: Context, bucket: str, key: str) -> Iterator[None]:
    """Hold the lock that Terraform holds when it works: an object beside the state that only one can make."""
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
            f"The state of {name} is locked: somebody works with it.",
            f"`make preflight ENV={name}` says who, and how a dead run's lock is released.",
        ) from error
    try:
        yield
    finally:
        client.delete_object(Bucket=bucket, Key=lock)


def _keep(context: Context, bucket: str, key: str) -> Path | None:
    body = s3.read(context.aws, bucket, key)
    if body is None:
        return None
    folder = context.paths.environment(context.environment.name) / "states"
    make_folder(folder)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tfstate"
    path.touch(mode=0o600)
    path.write_bytes(body)
    note(f"state: what was there is kept in {path}, and in the bucket as an earlier version")
    return path
