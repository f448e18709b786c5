"""The record of each deploy: what it brought, how it ended, and what is needed to bring the same again.

A record lies in the artifact bucket under its number, which no two deploys share. It is written when the apply begins,
when the instances begin to be rolled, and at the end, so that what was interrupted is told as that.
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

from ollama_gpu import models, release_archive, remote_state, s3
from ollama_gpu.aws import code_of
from ollama_gpu.console import note
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError
from ollama_gpu.releases import Release
from ollama_gpu.terraform.errors import Interrupted

Outcome = Literal["applying", "interrupted", "rolling out", "deployed", "failed"]

SHOWN = 20
_CAUSE_CHARACTERS = 2000
_CAUSE_SHOWN = 100


class Record(BaseModel):
    """One deploy. ``templates`` are launch template versions by fleet, ``models`` digests by name.

    ``instance`` is Terraform's variable of that name; ``archive_sha256`` names the applied tree with its variables;
    ``state_version`` is the state object's version after the apply; ``reapplies`` the record that a rollback brought.
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
        """What makes two deploys the same."""
        return (self.release, self.collection_sha256, self.archive_sha256, self.image, self.instance)

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


COLUMNS = ("number", "began (UTC)", "outcome", "release", "image", "versions", "by", "cause")


def row(record: Record) -> tuple[str, ...]:
    """A record as a line of a table; of its cause the beginning, all of it is in its JSON."""
    release = record.release + (f", again {record.reapplies}" if record.reapplies else "")
    versions = " ".join(f"{fleet}:{version}" for fleet, version in sorted(record.templates.items()))
    cause = textwrap.shorten(record.cause.partition("\n")[0], _CAUSE_SHOWN, placeholder="...")
    began = f"{record.began:%Y-%m-%d %H:%M}"
    return (str(record.number), began, record.outcome, release, record.image, versions, record.by, cause)


def listed(context: Context, newest: int | None = SHOWN) -> list[Record]:
    """The environment's records, newest first; none where nothing was deployed."""
    return list(islice(newest_first(context), newest))


def newest_first(context: Context) -> Iterator[Record]:
    """All of them, each read from S3 only when it is asked for."""
    for number in sorted(_numbers(context), reverse=True):
        yield read(context, number)


def last(context: Context) -> Record | None:
    """The newest, however it ended; None where nothing was deployed."""
    return next(newest_first(context), None)


def read(context: Context, number: int) -> Record:
    """The record of that number. Raises UserError (status 2) when there is none."""
    bucket, key = _place(context, number)
    body = s3.read(context.aws, bucket, key)
    if body is None:
        name = context.environment.name
        raise UserError(f"{name} has no release {number}.", f"See which there are: make releases ENV={name}", status=2)
    try:
        return Record.model_validate(json.loads(body))
    except (ValueError, ValidationError) as error:
        raise UserError(
            f"s3://{bucket}/{key} is no record of a release.", "Restore it from an earlier version of the object."
        ) from error


class Keeper:
    """Keeps one deploy's record up to date."""

    def __init__(self, context: Context, record: Record, now: Callable[[], datetime]) -> None:
        self._context, self._now = context, now
        self.record = record

    def rolling(self, outputs: dict[str, Any]) -> None:
        """The fabric stands as it is meant to, and its instances are about to follow."""
        versions = {name: str(fleet["launch_template"]["latest_version"]) for name, fleet in outputs["fleets"].items()}
        served = models.published(self._context.environment, self._context.contract, self._context.aws) or []
        self._change(
            outcome="rolling out",
            image=outputs["image_id"],
            templates=versions,
            models={model.name: model.digest for model in served},
            state_version=_state_version(self._context),
        )

    def ended(self, outcome: Outcome, cause: str = "") -> None:
        self._change(outcome=outcome, cause=cause[:_CAUSE_CHARACTERS], ended=self._now())

    def _change(self, **values: Any) -> None:
        self.record = self.record.model_copy(update=values)
        bucket, key = _place(self._context, self.record.number)
        self._context.aws.s3.put_object(Bucket=bucket, Key=key, Body=_text(self.record), ContentType="application/json")


def _utc_now() -> datetime:
    return datetime.now(UTC)


def begin(
    context: Context, release: Release, reapplies: int | None = None, now: Callable[[], datetime] = _utc_now
) -> Keeper:
    """Open the record of a deploy under the next number, and keep the tree that it applies."""
    archive = release_archive.pack(context.paths, context.environment.name)
    release_archive.keep(context, archive)
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
        bucket, key = _place(context, number)
        try:
            context.aws.s3.put_object(
                Bucket=bucket, Key=key, Body=_text(record), ContentType="application/json", IfNoneMatch="*"
            )
        except ClientError as error:
            if code_of(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            number += 1  # somebody else began one at this moment
            continue
        return Keeper(context, record, now)


def reopen(context: Context) -> Keeper | None:
    """The record of the deploy whose rollout goes on; None when the last one has ended otherwise."""
    found = last(context)
    return Keeper(context, found, _utc_now) if found and found.outcome == "rolling out" else None


def last_deployed(context: Context) -> Record | None:
    """The newest record of a deploy that came to its end; None before the first."""
    return next((record for record in newest_first(context) if record.outcome == "deployed"), None)


def stands(context: Context, release: Release) -> bool:
    """Whether the last deploy brought just this, and to its end."""
    found = last(context)
    if found is None or found.outcome != "deployed":
        return False
    return (found.release, found.collection_sha256) == (release.name, release.collection_sha256)


@contextmanager
def kept(keeper: Keeper | None) -> Iterator[None]:
    """Write down how what happens inside ends. A rollout that nobody follows any more has not ended."""
    if keeper is None:
        yield
        return
    try:
        yield
    except (KeyboardInterrupt, Interrupted):
        if keeper.record.outcome != "rolling out":
            _write(keeper, "interrupted")
        raise
    except UserError as error:
        _write(keeper, "failed", error.message)
        raise
    except Exception as error:
        _write(keeper, "failed", f"{type(error).__name__}: {error}")
        raise
    keeper.ended("deployed")


def _write(keeper: Keeper, outcome: Outcome, cause: str = "") -> None:
    try:
        keeper.ended(outcome, cause)
    except (BotoCoreError, ClientError) as error:  # what went wrong before is what the person must read
        note(f"warning: the record of release {keeper.record.number} could not be completed: {error}")


def _numbers(context: Context) -> list[int]:
    bucket, pattern = _place(context, None)
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


def _place(context: Context, number: int | None) -> tuple[str, str]:
    shown = "{release}" if number is None else str(number)
    key = context.contract.artifacts["record"].format(environment=context.environment.name, release=shown)
    return context.artifact_bucket, key


def _state_version(context: Context) -> str:
    bucket, key = remote_state.place(context.environment, context.contract, context.aws)
    return context.aws.s3.head_object(Bucket=bucket, Key=key).get("VersionId", "")


def _text(record: Record) -> bytes:
    return json.dumps(record.as_dict(), indent=1).encode()
