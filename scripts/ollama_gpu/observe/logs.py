"""Log lines of an environment from CloudWatch Logs, in order of time, and new lines as they arrive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from ollama_gpu.core import interrupt
from ollama_gpu.core.aws import code_of
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.context import Context
from ollama_gpu.observe import boot_timeline

BOOT = "boot"
"""Not a log group, but the lines of the group `instance` that report boot steps."""

FOLLOW_SECONDS = 3.0
LATE = timedelta(seconds=60)
"""How late a line may reach CloudWatch: the agent sends in batches, and retries."""


@dataclass(frozen=True)
class Line:
    """One line. ``source`` is the log stream, in most groups an instance id. ``id`` is CloudWatch's event id."""

    time: datetime
    group: str
    source: str
    message: str
    id: str

    def as_dict(self) -> dict[str, Any]:
        """Return the line for JSON output. A message that is JSON is parsed."""
        moment = self.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"time": moment, "group": self.group, "source": self.source, "message": _parsed(self.message)}


def groups(context: Context) -> list[str]:
    """Return the values of `--group`: the contract's log groups, and `boot`."""
    return [*context.contract.log_groups, BOOT]


def read(context: Context, group: str, since: datetime, instance: str | None = None) -> Iterator[Line]:
    """Yield the lines since a time, oldest first, of all instances or of one.

    Raises UserError if the group is unknown (status 2) or does not exist yet.
    """
    query = _query(context, group)
    streams = {"logStreamNames": [instance]} if instance else {}
    start = int(since.timestamp() * 1000)
    try:
        pages = context.aws.client("logs").get_paginator("filter_log_events")
        for page in pages.paginate(**query, **streams, startTime=start, interleaved=True):
            for event in page["events"]:
                yield _line(group, event)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        _require_group(context, query["logGroupName"])  # otherwise the stream is missing: nothing logged yet


def follow(
    context: Context,
    group: str,
    since: datetime,
    instance: str | None = None,
    sleep: Callable[[float], None] = interrupt.sleep,
) -> Iterator[Line]:
    """Yield the lines since a time, then new lines without end. Yields each line once, including late ones."""
    seen: dict[str, datetime] = {}
    start = since
    while True:
        for line in read(context, group, start, instance):
            if line.id not in seen:
                seen[line.id] = line.time
                yield line
        start = max(since, max(seen.values(), default=since) - LATE)
        seen = {identifier: moment for identifier, moment in seen.items() if moment >= start}
        sleep(FOLLOW_SECONDS)


def text(line: Line) -> str:
    """Format a line as text: time, source, message."""
    return f"{line.time:%Y-%m-%dT%H:%M:%S}Z  {line.source}  {_message_text(_parsed(line.message))}"


def _message_text(message: Any) -> str:
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


def _query(context: Context, group: str) -> dict[str, str]:
    if group not in groups(context):
        remedy = f"Choose one of: {', '.join(groups(context))}."
        raise UserError(f"There is no log group {group!r}.", remedy, status=2)
    if group == BOOT:
        name = context.contract.log_group("instance", context.environment.name)
        return {"logGroupName": name, "filterPattern": boot_timeline.PATTERN}
    return {"logGroupName": context.contract.log_group(group, context.environment.name)}


def _require_group(context: Context, name: str) -> None:
    found = context.aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    if all(each["logGroupName"] != name for each in found):
        remedy = f"Deploy the environment: make deploy ENV={context.environment.name}"
        raise UserError(f"The log group {name} does not exist.", remedy)


def _line(group: str, event: dict[str, Any]) -> Line:
    moment = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return Line(moment, group, event["logStreamName"], event["message"].rstrip("\n"), event["eventId"])
