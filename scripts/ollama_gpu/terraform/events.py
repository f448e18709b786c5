"""Parse Terraform's machine-readable output: `-json` UI events and `validate -json`.

Each line becomes a small frozen value, or None if the event is not used. Unknown event types and fields are ignored,
as Terraform's compatibility promise for the format requires.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HEADS = ("Error: ", "Warning: ")
# The snippet of an invalid value is its assignment (`size = 1`) or, for a default, its declaration.
_VARIABLE = re.compile(r'\bvariable "([^"]+)"|^\s*"?([\w-]+)"?\s*[=:]')


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """An error or a warning.

    ``filename`` is relative to the folder in which Terraform ran. ``variable`` is the variable that the line declares
    or assigns, if any.
    """

    severity: str
    summary: str
    detail: str = ""
    address: str = ""
    filename: str = ""
    line: int = 0
    variable: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    @property
    def text(self) -> str:
        return f"{self.summary}\n{self.detail}" if self.detail else self.summary


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """The planned action for a resource: create, read, update, replace, delete, move, import or remove."""

    address: str
    resource_type: str
    action: str
    reason: str = ""

    @property
    def operations(self) -> int:
        """The number of operations in the apply: a replacement deletes and creates."""
        return {"replace": 2, "create": 1, "update": 1, "delete": 1, "read": 1}.get(self.action, 0)


@dataclass(frozen=True, slots=True)
class ResourceDrift:
    """A resource that differs from its state."""

    address: str
    resource_type: str
    action: str


@dataclass(frozen=True, slots=True)
class OperationStarted:
    """An operation on a resource started; ``action`` is create, update, delete, read or refresh."""

    address: str
    action: str


@dataclass(frozen=True, slots=True)
class OperationEnded:
    """An operation on a resource ended."""

    address: str
    action: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """The counts at the end of a plan or an apply."""

    operation: str
    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True)
class OutputChanges:
    """The planned action for each changed output: create, update or delete."""

    actions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WaitingForLock:
    """Terraform is acquiring the state lock, which may mean waiting for it."""


Event = (
    Diagnostic
    | ResourceChange
    | ResourceDrift
    | OperationStarted
    | OperationEnded
    | ChangeSummary
    | OutputChanges
    | WaitingForLock
)

_STARTS = {"apply_start": "", "refresh_start": "refresh", "ephemeral_op_start": ""}
_ENDS = {
    "apply_complete": "",
    "apply_errored": "",
    "refresh_complete": "refresh",
    "ephemeral_op_complete": "",
    "ephemeral_op_errored": "",
}


def parse_line(line: bytes) -> Event | None:
    """Parse a line of `-json` output; None for plain text and for events that are not used."""
    if not line.startswith(b"{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:  # a crash can truncate a line
        return None
    return parse_event(record) if isinstance(record, dict) else None


def parse_event(record: Json) -> Event | None:
    """Parse a decoded record of Terraform's JSON UI; None for events that are not used."""
    kind = record.get("type", "")
    if kind in _STARTS:
        address, action = _hook(record)
        return OperationStarted(address, _STARTS[kind] or action)
    if kind in _ENDS:
        address, action = _hook(record)
        return OperationEnded(address, _ENDS[kind] or action, failed=kind.endswith("_errored"))
    if kind in ("planned_change", "resource_drift"):
        change = record.get("change", {})
        resource = change.get("resource", {})
        address, resource_type = resource.get("addr", ""), resource.get("resource_type", "")
        if kind == "resource_drift":
            return ResourceDrift(address, resource_type, change.get("action", ""))
        return ResourceChange(address, resource_type, change.get("action", ""), change.get("reason", ""))
    if kind == "diagnostic":
        return parse_diagnostic(record.get("diagnostic", {}))
    if kind == "change_summary":
        counts = record.get("changes", {})
        added, changed, removed = (int(counts.get(name, 0)) for name in ("add", "change", "remove"))
        return ChangeSummary(counts.get("operation", ""), added, changed, removed)
    if kind == "outputs":
        # Before an apply, the entries have an action; after it, a value. Only the action is used.
        entries = record.get("outputs", {})
        actions = {name: str(entry.get("action", "")) for name, entry in entries.items()}
        return OutputChanges({name: action for name, action in actions.items() if action not in ("", "noop")})
    if kind == "state_lock_acquire":
        return WaitingForLock()
    return None


def _hook(record: Json) -> tuple[str, str]:
    hook = record.get("hook", {})
    return hook.get("resource", {}).get("addr", ""), hook.get("action", "")


def parse_diagnostic(record: Json) -> Diagnostic:
    """Parse a diagnostic object, which is the same in events and in `validate -json`."""
    place = record.get("range") or {}
    snippet = record.get("snippet") or {}
    named = _VARIABLE.search(str(snippet.get("code", "")))
    return Diagnostic(
        severity=str(record.get("severity", "error")),
        summary=str(record.get("summary", "")).strip(),
        detail=str(record.get("detail", "")).strip(),
        address=str(record.get("address", "")),
        filename=str(place.get("filename", "")),
        line=int((place.get("start") or {}).get("line", 0)),
        variable=named.group(1) or named.group(2) if named else "",
    )


def parse_text_diagnostics(lines: Iterable[str]) -> list[Diagnostic]:
    """Parse the text output of commands without `-json` (run with -no-color).

    Text without an `Error:` or `Warning:` heading becomes one error.
    """
    sections: list[list[str]] = []
    for raw in lines:
        line = _COLOUR.sub("", raw).rstrip()
        if line.startswith(_HEADS) or (line and not sections):
            sections.append([line])
        elif sections:
            sections[-1].append(line)
    return [_from_text(section) for section in sections]


def _from_text(lines: list[str]) -> Diagnostic:
    severity = "warning" if lines[0].startswith(_HEADS[1]) else "error"
    summary = lines[0].removeprefix(_HEADS[0]).removeprefix(_HEADS[1])
    return Diagnostic(severity, summary, "\n".join(lines[1:]).strip())
