"""The actions for a missing container engine depend on the machine, and every refusal has a remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.engine import Situation, actions

BARE = Situation(answering=False, daemon=False, chosen=None, root=True, apt=True, systemd=False, why_not="no socket")


def test_running_engine_needs_no_action() -> None:
    assert actions(replace(BARE, answering=True, root=False)) == []


def test_bare_debian_gets_an_engine_and_a_daemon() -> None:
    assert actions(BARE) == ["install", "start-daemon"]


def test_systemd_starts_the_unit() -> None:
    assert actions(replace(BARE, daemon=True, systemd=True)) == ["start-unit"]


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (replace(BARE, chosen="tcp://nowhere:1"), "DOCKER_HOST=tcp://nowhere:1 does not answer: no socket"),
        (replace(BARE, root=False), "No Docker Engine answers: no socket"),
        (replace(BARE, root=False, daemon=True), "group docker"),
        (replace(BARE, apt=False), "no apt to install one with"),
    ],
)
def test_refusal_offers_a_deploy_without_the_lab(seen: Situation, message: str) -> None:
    with pytest.raises(UserError) as refused:
        actions(seen)
    assert message in str(refused.value)
    assert "LAB=off" in refused.value.remedy


def test_engine_of_docker_host_is_never_replaced() -> None:
    with pytest.raises(UserError):
        actions(replace(BARE, chosen="unix:///elsewhere.sock"))
