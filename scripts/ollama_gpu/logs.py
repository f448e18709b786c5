"""An environment's log lines from CloudWatch Logs in the order of their time: those there are, and those that come."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu import timeline
from ollama_gpu.aws import code_of
from ollama_gpu.context import Context
from ollama_gpu.errors import UserError

BOOT = "boot"
"""Not a log group of its own: the lines of `instance` that tell of a boot's steps."""

FOLLOW_SECONDS = 3.0
LATE = timedelta(seconds=60)
"""A line may reach CloudWatch this much later than its own time: the agent sends in batches, and retries."""


@dataclass(frozen=True)
class Line:
    """One line. ``source`` is its stream, an instance's id in most groups; ``id`` is CloudWatch's."""

    time: datetime
    group: str
    source: str
    message: str
    id: str

    def as_dict(self) -> dict[str, Any]:
        """With the message as JSON where it is some."""
        moment = self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"time": moment, "group": self.group, "source": self.source, "message": _parsed(self.message)}


def groups(context: Context) -> list[str]:
    """What `--group` takes: the contract's log groups, and `boot`."""
    return [*context.contract.log_groups, BOOT]


def read(context: Context, group: str, since: datetime, instance: str | None = None) -> Iterator[Line]:
    """Lines since a moment, oldest first; of one instance where it is named.

    Raises UserError when there is no such group (status 2), or it does not exist yet.
    """
    asked = _question(context, group)
    streams = {"logStreamNames": [instance]} if instance else {}
    start = int(since.timestamp() * 1000)
    try:
        pages = context.aws.client("logs").get_paginator("filter_log_events")
        for page in pages.paginate(**asked, **streams, startTime=start, interleaved=True):
            for event in page["events"]:
                yield _line(group, event)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        _refuse_missing(context, asked["logGroupName"])  # or it is the stream: that instance has said nothing yet


def follow(
    context: Context,
    group: str,
    since: datetime,
    instance: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Line]:
    """Lines since a moment and then, without an end, those that come; each once, late ones too."""
    told: dict[str, datetime] = {}
    start = since
    while True:
        for line in read(context, group, start, instance):
            if line.id not in told:
                told[line.id] = line.time
                yield line
        start = max(since, max(told.values(), default=since) - LATE)
        told = {identifier: moment for identifier, moment in told.items() if moment >= start}
        sleep(FOLLOW_SECONDS)


def text(line: Line) -> str:
    """A line for people: its time, who said it, and what."""
    return f"{line.time:%Y-%m-%dT%H:%M:%S}Z  {line.source}  {_said(_parsed(line.message))}"


def _said(message: Any) -> str:
    if not isinstance(message, dict):
        return str(message)
    entry = message.get("body", message)  # the journal, as the CloudWatch agent sends it
    if isinstance(entry, dict) and "MESSAGE" in entry:
        return f"{entry.get('SYSLOG_IDENTIFIER') or entry.get('_COMM') or '-'}: {entry['MESSAGE']}"
    shown = {
        key: value for key, value in message.items() if key not in ("_aws", "AutoScalingGroupName") and value != ""
    }
    return " ".join(
        f"{key}={value if not isinstance(value, dict | list) else _short(value)}" for key, value in shown.items()
    )


def _short(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)


def _parsed(message: str) -> Any:
    if message.startswith("{"):
        try:
            return json.loads(message)
        except ValueError:
            return message
    return message


def _question(context: Context, group: str) -> dict[str, str]:
    if group not in groups(context):
        raise UserError(f"There is no log group {group!r}.", f"There are: {', '.join(groups(context))}.", status=2)
    if group == BOOT:
        name = context.contract.log_group("instance", context.environment.name)
        return {"logGroupName": name, "filterPattern": timeline.PATTERN}
    return {"logGroupName": context.contract.log_group(group, context.environment.name)}


def _refuse_missing(context: Context, name: str) -> None:
    found = context.aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    if all(each["logGroupName"] != name for each in found):
        remedy = f"Deploy the environment: make deploy ENV={context.environment.name}"
        raise UserError(f"The log group {name} does not exist.", remedy)


def _line(group: str, event: dict[str, Any]) -> Line:
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return Line(moment, group, event["logStreamName"], event["message"].rstrip("\n"), event["eventId"])
