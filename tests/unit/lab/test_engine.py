"""What is done about a missing container engine follows from what was found, and every refusal says the way out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.lab.engine import Situation, actions

BARE = Situation(answering=False, daemon=False, chosen=None, root=True, apt=True, systemd=False, why_not="no socket")


def test_an_engine_that_answers_is_left_alone() -> None:
    assert actions(replace(BARE, answering=True, root=False)) == []


def test_on_a_bare_debian_it_is_installed_and_started_by_hand() -> None:
    assert actions(BARE) == ["install", "start-daemon"]


def test_under_systemd_its_unit_is_started() -> None:
    assert actions(replace(BARE, daemon=True, systemd=True)) == ["start-unit"]


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (replace(BARE, chosen="tcp://nowhere:1"), "DOCKER_HOST=tcp://nowhere:1 does not answer: no socket"),
        (replace(BARE, root=False), "No Docker Engine answers: no socket"),
        (replace(BARE, root=False, daemon=True), "group docker"),
        (replace(BARE, apt=False), "no apt to install one with"),
    ],
)
def test_where_it_is_not_ours_to_install_the_refusal_offers_to_do_without(seen: Situation, says: str) -> None:
    with pytest.raises(UserError) as refused:
        actions(seen)
    assert says in str(refused.value)
    assert "LAB=off" in refused.value.remedy


def test_an_engine_that_somebody_chose_is_never_replaced_by_one_of_ours() -> None:
    with pytest.raises(UserError):
        actions(replace(BARE, chosen="unix:///elsewhere.sock"))
