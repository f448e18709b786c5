"""The record of each deploy: its content, its outcome, and everything needed to deploy the same again.

A record is in the artifact bucket under its number, which is unique per deploy. It is written when the apply starts,
when the rollout starts, and at the end, so that an interrupted deploy is visible as such.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel, ConfigDict, ValidationError

from ollama_gpu.core import s3
from ollama_gpu.core.aws import code_of
from ollama_gpu.core.console import note
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import remote_state
from ollama_gpu.environment.context import Context
from ollama_gpu.models import model_set as models
from ollama_gpu.releases import archive as release_archive
from ollama_gpu.releases.release import Release
from ollama_gpu.terraform.errors import Interrupted

Outcome = Literal["applying", "interrupted", "rolling out", "deployed", "failed"]

SHOWN = 20
_CAUSE_CHARACTERS = 2000
_CAUSE_SHOWN = 100


class Record(BaseModel):
    """One deploy. ``templates`` are launch template versions by fleet, ``models`` digests by name.

    ``instance`` is the Terraform variable of that name. ``archive_sha256`` names the applied tree with its variables.
    ``state_version`` is the version of the state object after the apply. ``reapplies`` is the number of the release
    that a rollback deployed again.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: int
    environment: str
    release: str
    by: str
    began: datetime
    ended: datetime | None = None
    outcome: Outcome = "applying"
    cause: str = ""
    collection_sha256: str
    archive_sha256: str
    instance: dict[str, Any] | None = None
    open_webui: str = ""
    image: str = ""
    templates: dict[str, str] = {}
    models: dict[str, str] = {}
    state_version: str = ""
    reapplies: int | None = None

    @property
    def content(self) -> tuple[Any, ...]:
        """The fields that are equal for two deploys of the same content."""
        return (self.release, self.collection_sha256, self.archive_sha256, self.image, self.instance)

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


COLUMNS = ("number", "started (UTC)", "outcome", "release", "image", "versions", "by", "cause")


def row(record: Record) -> tuple[str, ...]:
    """Format a record as a table row. The cause is shortened; the JSON output has all of it."""
    release = record.release + (f" (rollback to {record.reapplies})" if record.reapplies else "")
    versions = " ".join(f"{fleet}:{version}" for fleet, version in sorted(record.templates.items()))
    cause = textwrap.shorten(record.cause.partition("\n")[0], _CAUSE_SHOWN, placeholder="...")
    started = f"{record.began:%Y-%m-%d %H:%M}"
    return (str(record.number), started, record.outcome, release, record.image, versions, record.by, cause)


def listed(context: Context, newest: int | None = SHOWN) -> list[Record]:
    """Return the environment's records, newest first. Empty if nothing was deployed."""
    return list(islice(newest_first(context), newest))


def newest_first(context: Context) -> Iterator[Record]:
    """Yield all records, newest first. Each is read from S3 only when needed."""
    for number in sorted(_numbers(context), reverse=True):
        yield read(context, number)


def last(context: Context) -> Record | None:
    """Return the newest record with any outcome, None if nothing was deployed."""
    return next(newest_first(context), None)


def read(context: Context, number: int) -> Record:
    """Read a record by its number. Raises UserError (status 2) if it does not exist."""
    bucket, key = _location(context, number)
    body = s3.read(context.aws, bucket, key)
    if body is None:
        name = context.environment.name
        raise UserError(
            f"{name} has no release {number}.", f"List the releases with: make releases ENV={name}", status=2
        )
    try:
        return Record.model_validate(json.loads(body))
    except (ValueError, ValidationError) as error:
        raise UserError(
            f"s3://{bucket}/{key} is not a valid release record.", "Restore an earlier version of the S3 object."
        ) from error


class RecordWriter:
    """Updates the record of one deploy."""

    def __init__(self, context: Context, record: Record, now: Callable[[], datetime]) -> None:
        self._context, self._now = context, now
        self.record = record

    def rolling_out(self, outputs: dict[str, Any]) -> None:
        """Record that the apply is complete and the rollout starts."""
        versions = {name: str(fleet["launch_template"]["latest_version"]) for name, fleet in outputs["fleets"].items()}
        served = models.published(self._context) or []
        self._change(
            outcome="rolling out",
            image=outputs["image_id"],
            templates=versions,
            models={model.name: model.digest for model in served},
            state_version=_state_version(self._context),
        )

    def end(self, outcome: Outcome, cause: str = "") -> None:
        """Record the outcome, and the cause of a failure."""
        self._change(outcome=outcome, cause=cause[:_CAUSE_CHARACTERS], ended=self._now())

    def _change(self, **values: Any) -> None:
        self.record = self.record.model_copy(update=values)
        bucket, key = _location(self._context, self.record.number)
        self._context.aws.s3.put_object(Bucket=bucket, Key=key, Body=_text(self.record), ContentType="application/json")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def begin(
    context: Context, release: Release, reapplies: int | None = None, now: Callable[[], datetime] = _utc_now
) -> RecordWriter:
    """Create the record of a deploy with the next number, and upload the Terraform tree that it applies."""
    archive = release_archive.pack(context.paths, context.environment.name)
    release_archive.upload(context, archive)
    number = max(_numbers(context), default=0) + 1
    while True:
        record = Record(
            number=number,
            environment=context.environment.name,
            release=release.name,
            by=context.aws.identity.arn,
            began=now(),
            collection_sha256=release.collection_sha256,
            archive_sha256=archive.sha256,
            open_webui=release.open_webui,
            instance=context.instance_settings,
            reapplies=reapplies,
        )
        bucket, key = _location(context, number)
        try:
            context.aws.s3.put_object(
                Bucket=bucket, Key=key, Body=_text(record), ContentType="application/json", IfNoneMatch="*"
            )
        except ClientError as error:
            if code_of(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            number += 1  # another deploy took this number
            continue
        return RecordWriter(context, record, now)


def reopen(context: Context) -> RecordWriter | None:
    """Return a writer for the record of the deploy that is rolling out, None if the last deploy is not."""
    found = last(context)
    return RecordWriter(context, found, _utc_now) if found and found.outcome == "rolling out" else None


def last_deployed(context: Context) -> Record | None:
    """Return the newest record with outcome `deployed`, None if there is none."""
    return next((record for record in newest_first(context) if record.outcome == "deployed"), None)


def is_deployed(context: Context, release: Release) -> bool:
    """Whether the last deploy was of this release and completed."""
    found = last(context)
    if found is None or found.outcome != "deployed":
        return False
    return (found.release, found.collection_sha256) == (release.name, release.collection_sha256)


@contextmanager
def recording(writer: RecordWriter | None) -> Iterator[None]:
    """Record the outcome of the block. After Ctrl-C during a rollout, the record stays `rolling out`."""
    if writer is None:
        yield
        return
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        if writer.record.outcome != "rolling out":
            _try_end(writer, "interrupted")
        raise
    except UserError as error:
        _try_end(writer, "failed", error.message)
        raise
    except Exception as error:
        _try_end(writer, "failed", f"{type(error).__name__}: {error}")
        raise
    writer.end("deployed")


def _try_end(writer: RecordWriter, outcome: Outcome, cause: str = "") -> None:
    try:
        writer.end(outcome, cause)
    except (BotoCoreError, ClientError) as error:  # the original error must reach the user
        note(f"warning: could not update the record of release {writer.record.number}: {error}")


def _numbers(context: Context) -> list[int]:
    bucket, pattern = _location(context, None)
    before, _, after = pattern.partition("{release}")
    try:
        pages = list(context.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=before))
    except ClientError as error:
        if code_of(error) == "NoSuchBucket":  # the account was never bootstrapped
            return []
        raise
    names = (each["Key"][len(before) :] for page in pages for each in page.get("Contents", []))
    numbers = (name.removesuffix(after) for name in names if name.endswith(after))
    return [int(number) for number in numbers if number.isdigit()]


def _location(context: Context, number: int | None) -> tuple[str, str]:
    shown = "{release}" if number is None else str(number)
    key = context.contract.artifacts["record"].format(environment=context.environment.name, release=shown)
    return context.artifact_bucket, key


def _state_version(context: Context) -> str:
    bucket, key = remote_state.location(context)
    return context.aws.s3.head_object(Bucket=bucket, Key=key).get("VersionId", "")


def _text(record: Record) -> bytes:
    return json.dumps(record.as_dict(), indent=1).encode()
