"""The CloudWatch agent on a converged host, or only its configuration if it is not installed."""

from __future__ import annotations

import json
from typing import Any

import pytest

CONFIGURATION = "/etc/ollama-gpu/cloudwatch-agent.json"
HOME = "/opt/aws/amazon-cloudwatch-agent"
UNIT = "amazon-cloudwatch-agent.service"


@pytest.fixture(scope="module")
def configuration(host: Any) -> dict[str, Any]:
    file = host.file(CONFIGURATION)
    if not file.exists and not host.file("/etc/ollama-gpu/instance.json").exists:
        pytest.skip("a bake has no environment and writes no configuration")
    read: dict[str, Any] = json.loads(file.content_string)
    return read


@pytest.fixture
def agent(host: Any) -> str:
    if not host.file(f"{HOME}/bin/amazon-cloudwatch-agent").exists:
        pytest.skip("needs the CloudWatch agent; this host was converged with cloudwatch_agent_package_source=none")
    return HOME


def test_the_configuration_belongs_to_root_and_holds_no_credentials(host: Any, configuration: dict[str, Any]) -> None:
    file = host.file(CONFIGURATION)
    assert (file.user, file.group, file.mode) == ("root", "root", 0o644)
    assert "credentials" not in json.dumps(configuration)


def test_gpu_block_exists_only_if_a_gpu_answers(host: Any, configuration: dict[str, Any]) -> None:
    asked = host.run("nvidia-smi --list-gpus")
    answers = asked.rc == 0 and "UUID: GPU-" in asked.stdout
    assert ("nvidia_gpu" in configuration["metrics"]["metrics_collected"]) == answers


def test_everything_goes_to_this_environments_log_group(configuration: dict[str, Any]) -> None:
    entries = [entry for kind in configuration["logs"]["logs_collected"].values() for entry in kind["collect_list"]]
    (group,) = {entry["log_group_name"] for entry in entries}
    assert "{" not in group
    assert "//" not in group, "the environment's name is empty"
    assert {entry["log_stream_name"] for entry in entries} == {"{instance_id}"}


def test_the_agent_runs_with_our_configuration_and_without_rights(host: Any, agent: str) -> None:
    assert host.service(UNIT).is_running
    assert host.service(UNIT).is_enabled
    assert host.file(f"{agent}/etc/amazon-cloudwatch-agent.json").linked_to == CONFIGURATION
    pid = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
    assert host.file(f"/proc/{pid}").user == "cwagent"


def test_agents_user_can_read_the_journal(host: Any, agent: str) -> None:
    assert {"adm", "systemd-journal"} <= set(host.user("cwagent").groups)


def test_the_agent_listens_for_embedded_metrics_on_loopback_alone(
    host: Any, agent: str, configuration: dict[str, Any]
) -> None:
    address = configuration["logs"]["metrics_collected"]["emf"]["service_address"]
    port = address.rpartition(":")[2]
    assert host.socket(f"udp://127.0.0.1:{port}").is_listening
    assert not host.socket(f"udp://0.0.0.0:{port}").is_listening
