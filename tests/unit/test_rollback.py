"""Which release a rollback goes to, and with which settings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.recorded_release import settings
from ollama_gpu.release_records import Record
from ollama_gpu.rollback import previous


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


def test_it_goes_to_what_served_before() -> None:
    assert previous([record(3, "third"), record(2, "second"), record(1, "first")]).number == 2


def test_after_a_deploy_that_failed_it_goes_to_the_last_that_did_not() -> None:
    assert previous([record(3, "third", "failed"), record(2, "second"), record(1, "first")]).number == 2
    assert previous([record(4, "fourth", "interrupted"), record(3, "third", "failed"), record(2, "second")]).number == 2


def test_a_second_rollback_comes_forth_again() -> None:
    back = record(3, "first", reapplies=1)
    assert previous([back, record(2, "second"), record(1, "first")]).number == 2


def test_a_repeated_deploy_of_the_same_is_passed_over() -> None:
    assert previous([record(3, "second"), record(2, "second"), record(1, "first")]).number == 1


@pytest.mark.parametrize("change", [{"image": "ami-2"}, {"archive_sha256": "b" * 64}, {"collection_sha256": "d" * 64}])
def test_another_image_variable_or_collection_is_another_release(change: dict[str, Any]) -> None:
    assert previous([record(2, "same"), record(1, "same", **change)]).number == 1


def test_with_nothing_before_it_says_so() -> None:
    with pytest.raises(UserError, match="Nothing was deployed"):
        previous([])
    with pytest.raises(UserError, match="Release 1 is the only one"):
        previous([record(1, "first")])


def test_roles_variables_are_of_then_and_the_local_aws_is_of_now() -> None:
    then = {"endpoint_url": "http://aws:1", "variables": {"a": 1}}
    now = {"endpoint_url": "http://aws:2", "variables": {"a": 2}}
    assert settings(then, now) == {"endpoint_url": "http://aws:2", "variables": {"a": 1}}
    assert settings({"variables": {"a": 1}}, {"variables": {"a": 2}}) == {"variables": {"a": 1}}
    assert settings(None, {"variables": {"a": 2}}) is None


def test_a_lab_that_came_or_went_since_stays_as_it_is() -> None:
    lab = {"endpoint_url": "http://aws:1", "variables": {}}
    assert settings(None, lab) == lab
    assert settings(lab, None) is None
