"""Parsing the JSON output of Terraform 1.11.4."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_gpu.terraform.events import (
    ChangeSummary,
    Diagnostic,
    OperationEnded,
    OperationStarted,
    OutputChanges,
    ResourceChange,
    ResourceDrift,
    WaitingForLock,
    parse_line,
    parse_text_diagnostics,
)

RESOURCE = {
    "addr": 'module.data.aws_db_instance.this["a"]',
    "module": "module.data",
    "resource": 'aws_db_instance.this["a"]',
    "implied_provider": "aws",
    "resource_type": "aws_db_instance",
    "resource_name": "this",
    "resource_key": "a",
}
ADDRESS = RESOURCE["addr"]


def line(kind: str, **fields: Any) -> bytes:
    return json.dumps({"@level": "info", "@message": "text", "type": kind, **fields}).encode()


def test_planned_change_has_address_type_action_and_reason() -> None:
    event = parse_line(
        line("planned_change", change={"resource": RESOURCE, "action": "replace", "reason": "cannot_update"})
    )
    assert event == ResourceChange(ADDRESS, "aws_db_instance", "replace", "cannot_update")
    assert event.operations == 2


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("apply_start", OperationStarted(ADDRESS, "create")),
        ("apply_complete", OperationEnded(ADDRESS, "create")),
        ("apply_errored", OperationEnded(ADDRESS, "create", failed=True)),
    ],
)
def test_start_end_and_failure_of_an_operation_are_parsed(kind: str, expected: object) -> None:
    assert parse_line(line(kind, hook={"resource": RESOURCE, "action": "create"})) == expected


def test_refresh_event_gets_the_action_refresh() -> None:
    assert parse_line(line("refresh_start", hook={"resource": RESOURCE})) == OperationStarted(ADDRESS, "refresh")


def test_drift_summary_lock_and_output_changes_are_parsed() -> None:
    change = {"resource": RESOURCE, "action": "update"}
    assert parse_line(line("resource_drift", change=change)) == ResourceDrift(ADDRESS, "aws_db_instance", "update")
    counts = {"add": 3, "change": 2, "import": 0, "remove": 1, "operation": "plan"}
    assert parse_line(line("change_summary", changes=counts)) == ChangeSummary("plan", 3, 2, 1)
    assert parse_line(line("state_lock_acquire")) == WaitingForLock()
    outputs = {
        "url": {"sensitive": False, "action": "update"},
        "zone": {"sensitive": False, "action": "noop"},
    }
    assert parse_line(line("outputs", outputs=outputs)) == OutputChanges({"url": "update"})


def test_diagnostic_has_file_line_and_variable() -> None:
    diagnostic = {
        "severity": "error",
        "summary": "Invalid value for variable",
        "detail": "min is 2.",
        "range": {"filename": "variables.tf", "start": {"line": 7, "column": 1, "byte": 0}},
        "snippet": {"context": None, "code": 'variable "fleets" {', "start_line": 7},
    }
    assert parse_line(line("diagnostic", diagnostic=diagnostic)) == Diagnostic(
        "error", "Invalid value for variable", "min is 2.", "", "variables.tf", 7, "fleets"
    )


@pytest.mark.parametrize(
    "raw",
    [b"", b"Successfully configured the backend", b'{"cut": "sho', b'{"type":"new"}', b"[1]", b'{"a":1}'],
)
def test_unused_lines_are_ignored(raw: bytes) -> None:
    assert parse_line(raw) is None


def test_text_diagnostics_are_split_at_headings_and_colours_removed() -> None:
    found = parse_text_diagnostics(
        [
            "\x1b[31mError: First\x1b[0m",
            "",
            "  on a.tf line 1:",
            "Warning: Careful",
            "",
            "Mind.",
            "Error: Second",
        ]
    )
    assert found == [
        Diagnostic("error", "First", "on a.tf line 1:"),
        Diagnostic("warning", "Careful", "Mind."),
        Diagnostic("error", "Second"),
    ]


def test_text_without_a_heading_is_one_error() -> None:
    assert parse_text_diagnostics(["", "Failed to unlock state: x", "Lock Info:"]) == [
        Diagnostic("error", "Failed to unlock state: x", "Lock Info:")
    ]
