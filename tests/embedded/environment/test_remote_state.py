"""A truncated or deleted Terraform state is detected, and an earlier version is restored under the lock."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import remote_state
from ollama_gpu.environment.context import Context
from ollama_gpu.environment.embedded_aws import Endpoint
from tests.embedded.releases.recorded import bucketed


class State:
    """The state object of a context."""

    def __init__(self, context: Context, s3: Any) -> None:
        self.context, self.s3 = context, s3
        bucket, key = remote_state.location(context)
        self.place = {"Bucket": bucket, "Key": key}
        self.lock = {"Bucket": bucket, "Key": f"{key}.tflock"}

    def write(self, serial: int, cut: int | None = None) -> str:
        """Write a state with this serial, or only its first ``cut`` bytes. Returns its version."""
        state = {"version": 4, "serial": serial, "lineage": "l-1", "resources": [{"mode": "managed"}] * serial}
        body = json.dumps(state).encode()[:cut]
        return str(self.s3.put_object(**self.place, Body=body)["VersionId"])

    def read(self) -> Any:
        return json.loads(self.s3.get_object(**self.place)["Body"].read())

    def check(self) -> Any:
        return remote_state.check(self.context)


@pytest.fixture
def state(client: Callable[[str], Any], endpoint: Endpoint, name: str, tmp_path: Path) -> State:
    return State(bucketed(client, endpoint, name, tmp_path), client("s3"))


def test_missing_state_before_first_deploy_is_ok(state: State) -> None:
    assert (state.check().state, state.check().seen) == ("ok", "none yet")


def test_versions_are_listed_newest_first_with_problems(state: State) -> None:
    first, second, broken = state.write(1), state.write(2), state.write(3, cut=40)
    found = remote_state.versions(state.context)
    assert [each.identifier for each in found] == [broken, second, first]
    assert [each.serial for each in found] == [None, 2, 1]
    assert [each.resources for each in found] == [None, 2, 1]
    assert [each.newest for each in found] == [True, False, False]
    assert "not valid JSON" in found[0].problem
    assert remote_state.row(found[0])[-1] == found[0].problem


def test_truncated_state_fails_preflight_and_can_be_restored(state: State) -> None:
    state.write(1)
    good = state.write(7)
    state.write(8, cut=100)
    seen = state.check()
    assert (seen.state, "not valid JSON" in seen.seen, "ollama-gpu state list" in seen.remedy) == ("failed", True, True)

    serial, backup = remote_state.restore(state.context, good)

    assert serial == state.read()["serial"] == 8, "a plan created from the lost state must not apply to this one"
    assert len(state.read()["resources"]) == 7
    assert backup is not None
    assert (len(backup.read_bytes()), backup.stat().st_mode & 0o777) == (100, 0o600)
    assert state.check().state == "ok"
    with pytest.raises(state.s3.exceptions.ClientError):
        state.s3.head_object(**state.lock)


def test_deleted_state_fails_preflight_and_can_be_restored(state: State) -> None:
    good = state.write(5)
    state.s3.delete_object(**state.place)
    assert state.check().state == "failed"
    assert "deleted on" in state.check().seen
    assert remote_state.versions(state.context)[0].problem == "deleted"
    assert remote_state.restore(state.context, good) == (6, None)
    assert len(state.read()["resources"]) == 5


def test_valid_state_is_replaced_only_on_request(state: State) -> None:
    first = state.write(1)
    state.write(2)
    with pytest.raises(UserError, match=r"is sound \(serial 2\).*\n.*make rollback"):
        remote_state.restore(state.context, first)
    assert state.read()["serial"] == 2
    assert remote_state.restore(state.context, first, force=True)[0] == 3


@pytest.mark.parametrize("which", ["broken", "unknown"])
def test_version_that_is_not_a_state_is_not_restored(state: State, which: str) -> None:
    state.write(1)
    broken = state.write(2, cut=10)
    with pytest.raises(
        UserError, match="is not a Terraform state: 10 bytes" if which == "broken" else "does not exist"
    ):
        remote_state.restore(state.context, broken if which == "broken" else "0")
    with pytest.raises(state.s3.exceptions.ClientError):
        state.s3.head_object(**state.lock)


def test_locked_state_is_not_restored(state: State) -> None:
    good = state.write(1)
    state.write(2, cut=10)
    state.s3.put_object(**state.lock, Body=b'{"ID": "x", "Who": "maria@ops"}')
    with pytest.raises(UserError, match=r"locked.*\n.*make preflight ENV=local"):
        remote_state.restore(state.context, good)
    assert state.s3.get_object(**state.lock)["Body"].read() == b'{"ID": "x", "Who": "maria@ops"}', (
        "the lock must not change"
    )
