"""Results of checks: their output and the error for failed ones."""

from __future__ import annotations

import json

import pytest

from ollama_gpu.core.checks import COLUMNS, Check, State, require, rows
from ollama_gpu.core.errors import UserError

FINE = Check("zone", "ok", "us-east-1a")
QUOTA = Check("quota", "failed", "0 vCPUs, 8 needed", "Ask for more.")
LOCK = Check("lock", "failed", "held by maria@ops", "Wait.")


@pytest.mark.parametrize("state", ["ok", "warning", "skipped"])
def test_checks_that_did_not_fail_raise_no_error(state: State) -> None:
    require([Check("x", state, "seen", "remedy")], "Preflight")


def test_no_checks_raise_no_error() -> None:
    require([], "Preflight")


def test_error_lists_all_failed_checks_in_order_with_remedies() -> None:
    with pytest.raises(UserError) as caught:
        require([QUOTA, FINE, LOCK], "Preflight")
    assert caught.value.message.splitlines() == [
        "Preflight found 2 problems:",
        "  quota: 0 vCPUs, 8 needed",
        "    Ask for more.",
        "  lock: held by maria@ops",
        "    Wait.",
    ]
    assert caught.value.status == 1


def test_single_problem_is_singular() -> None:
    with pytest.raises(UserError, match=r"^Doctor found 1 problem:"):
        require([QUOTA], "Doctor")


def test_failed_check_without_remedy_has_no_empty_line() -> None:
    with pytest.raises(UserError) as caught:
        require([Check("AWS", "failed", "refused")], "Preflight")
    assert caught.value.message.splitlines()[1:] == ["  AWS: refused"]


def test_table_row_has_a_cell_for_each_column() -> None:
    assert rows([FINE, QUOTA]) == [
        ("zone", "ok", "us-east-1a", ""),
        ("quota", "failed", "0 vCPUs, 8 needed", "Ask for more."),
    ]
    assert {len(row) for row in rows([FINE])} == {len(COLUMNS)}


def test_json_has_every_field_by_name() -> None:
    assert json.loads(json.dumps(QUOTA.as_dict())) == {
        "what": "quota",
        "state": "failed",
        "seen": "0 vCPUs, 8 needed",
        "remedy": "Ask for more.",
    }
