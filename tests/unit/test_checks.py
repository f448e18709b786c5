"""Rows of checks: what a person is shown, and when a command stops."""

from __future__ import annotations

import json

import pytest

from ollama_gpu.checks import COLUMNS, Check, State, require, rows
from ollama_gpu.errors import UserError

FINE = Check("zone", "ok", "us-east-1a")
QUOTA = Check("quota", "failed", "0 vCPUs, 8 needed", "Ask for more.")
LOCK = Check("lock", "failed", "held by maria@ops", "Wait.")


@pytest.mark.parametrize("state", ["ok", "warning", "skipped"])
def test_only_a_failed_row_stops_a_command(state: State) -> None:
    require([Check("x", state, "seen", "remedy")], "Preflight")


def test_no_rows_stop_nothing() -> None:
    require([], "Preflight")


def test_every_failed_row_is_told_at_once_in_order_each_with_its_remedy() -> None:
    with pytest.raises(UserError) as caught:
        require([QUOTA, FINE, LOCK], "Preflight")
    assert caught.value.message.splitlines() == [
        "Preflight found 2 things to put right:",
        "  quota: 0 vCPUs, 8 needed",
        "    Ask for more.",
        "  lock: held by maria@ops",
        "    Wait.",
    ]
    assert caught.value.status == 1


def test_one_failure_is_one_thing() -> None:
    with pytest.raises(UserError, match=r"^Doctor found 1 thing to put right:"):
        require([QUOTA], "Doctor")


def test_a_failure_without_a_remedy_leaves_no_empty_line() -> None:
    with pytest.raises(UserError) as caught:
        require([Check("AWS", "failed", "refused")], "Preflight")
    assert caught.value.message.splitlines()[1:] == ["  AWS: refused"]


def test_a_table_row_has_a_cell_for_each_column() -> None:
    assert rows([FINE, QUOTA]) == [
        ("zone", "ok", "us-east-1a", ""),
        ("quota", "failed", "0 vCPUs, 8 needed", "Ask for more."),
    ]
    assert {len(row) for row in rows([FINE])} == {len(COLUMNS)}


def test_a_program_gets_every_field_by_name() -> None:
    assert json.loads(json.dumps(QUOTA.as_dict())) == {
        "what": "quota",
        "state": "failed",
        "seen": "0 vCPUs, 8 needed",
        "remedy": "Ask for more.",
    }
