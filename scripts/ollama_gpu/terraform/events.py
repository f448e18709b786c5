"""Terraform's machine-readable output, typed: `-json` UI events, `validate -json`.

Each line is decoded once, into a small frozen value or, when nobody here needs it, into None. Unknown event
types and fields are ignored, as Terraform's compatibility promise for the format asks of every reader.
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
# A refused value is shown where it was given (`size = 1`) or, when it is the default, where it is declared.
_VARIABLE = re.compile(r'\bvariable "([^"]+)"|^\s*"?([\w-]+)"?\s*[=:]')


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error or warning.

    ``filename`` is as Terraform gives it (relative to the folder it ran in); ``variable`` is what the line
    declares or assigns, if it does.
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
    """What a plan wants with one resource: create, read, update, replace, delete, move, import or remove."""

    address: str
    resource_type: str
    action: str
    reason: str = ""

    @property
    def operations(self) -> int:
        """How many operations an apply performs for it: a replacement deletes and creates."""
        return {"replace": 2, "create": 1, "update": 1, "delete": 1, "read": 1}.get(self.action, 0)


@dataclass(frozen=True, slots=True)
class ResourceDrift:
    """A resource found different from what the state remembers of it."""

    address: str
    resource_type: str
    action: str


@dataclass(frozen=True, slots=True)
class OperationStarted:
    """Work on one resource has begun; ``action`` is create, update, delete, read or refresh."""

    address: str
    action: str


@dataclass(frozen=True, slots=True)
class OperationEnded:
    """Work on one resource has ended."""

    address: str
    action: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """The counts with which a plan or an apply ends."""

    operation: str
    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True)
class OutputChanges:
    """The outputs that a plan changes, by name: create, update or delete."""

    actions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WaitingForLock:
    """Terraform is waiting for the state lock (or is just about to get it)."""


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
    """The event that one line of a `-json` run holds; None for plain text and for events nobody needs."""
    if not line.startswith(b"{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:  # a crash can cut a line short
        return None
    return parse_event(record) if isinstance(record, dict) else None


def parse_event(record: Json) -> Event | None:
    """One decoded record of Terraform's JSON UI."""
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
        # Before an apply the entries carry an action, after it a value; only the action is wanted.
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
    """A diagnostic object, the same in events and in `validate -json`."""
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
    """The diagnostics in what Terraform prints for people under -no-color, for commands without `-json`.

    Text that does not call itself an error or a warning becomes one error.
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
