"""Docker on a converged host: the distribution's engine, with the settings of the role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

SETTINGS = "/etc/docker/daemon.json"


@pytest.fixture(scope="module")
def engine(host: Host) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(host.check_output("docker info --format '{{json .}}'"))
    return answer


def test_the_daemon_runs_now_and_at_boot(host: Host) -> None:
    service = host.service("docker.service")
    assert service.is_enabled
    assert service.is_running


def test_only_root_can_change_the_settings(host: Host) -> None:
    file = host.file(SETTINGS)
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    json.loads(file.content_string)


def test_containers_log_to_the_journal_and_survive_a_restart_of_the_daemon(engine: dict[str, Any]) -> None:
    assert engine["LoggingDriver"] == "journald"
    assert engine["LiveRestoreEnabled"] is True


def test_the_daemon_does_not_listen_on_the_network(host: Host) -> None:
    listening = host.check_output("ss --no-header --listening --tcp --processes --numeric")
    assert "dockerd" not in listening


def test_only_root_and_its_group_reach_the_daemon(host: Host) -> None:
    socket = host.file("/var/run/docker.sock")
    assert (socket.user, socket.group, socket.mode) == ("root", "docker", 0o660)
