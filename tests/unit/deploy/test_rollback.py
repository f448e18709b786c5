"""Which release a rollback selects, and with which settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.deploy.rollback import previous
from ollama_gpu.releases.recorded import settings
from ollama_gpu.releases.records import Record


def record(number: int, release: str, outcome: str = "deployed", **more: Any) -> Record:
    values = {
        "number": number,
        "environment": "prod",
        "release": release,
        "by": "arn:aws:iam::123456789012:user/maria",
        "began": datetime(2026, 11, 23, 12, number, tzinfo=UTC),
        "outcome": outcome,
        "collection_sha256": "c" * 64,
        "archive_sha256": "a" * 64,
        "image": "ami-1",
        **more,
    }
    return Record.model_validate(values)


def test_rollback_selects_previous_release() -> None:
    assert previous([record(3, "third"), record(2, "second"), record(1, "first")]).number == 2


def test_rollback_after_failed_deploy_selects_last_deployed_release() -> None:
    assert previous([record(3, "third", "failed"), record(2, "second"), record(1, "first")]).number == 2
    assert previous([record(4, "fourth", "interrupted"), record(3, "third", "failed"), record(2, "second")]).number == 2


def test_second_rollback_returns_to_release_before_first_rollback() -> None:
    rollback = record(3, "first", reapplies=1)
    assert previous([rollback, record(2, "second"), record(1, "first")]).number == 2


def test_rollback_skips_repeated_deploys_of_same_content() -> None:
    assert previous([record(3, "second"), record(2, "second"), record(1, "first")]).number == 1


@pytest.mark.parametrize("change", [{"image": "ami-2"}, {"archive_sha256": "b" * 64}, {"collection_sha256": "d" * 64}])
def test_release_with_other_image_variables_or_collection_is_a_rollback_target(change: dict[str, Any]) -> None:
    assert previous([record(2, "same"), record(1, "same", **change)]).number == 1


def test_rollback_without_earlier_release_is_refused() -> None:
    with pytest.raises(UserError, match="This environment has no releases"):
        previous([])
    with pytest.raises(UserError, match="prod has no deployed release before 1"):
        previous([record(1, "first")])


def test_rollback_uses_recorded_role_variables_and_current_local_endpoint() -> None:
    recorded = {"endpoint_url": "http://aws:1", "variables": {"a": 1}}
    current = {"endpoint_url": "http://aws:2", "variables": {"a": 2}}
    assert settings(recorded, current) == {"endpoint_url": "http://aws:2", "variables": {"a": 1}}
    assert settings({"variables": {"a": 1}}, {"variables": {"a": 2}}) == {"variables": {"a": 1}}
    assert settings(None, {"variables": {"a": 2}}) is None


def test_rollback_keeps_lab_that_was_started_or_removed_since() -> None:
    lab = {"endpoint_url": "http://aws:1", "variables": {}}
    assert settings(None, lab) == lab
    assert settings(lab, None) is None
