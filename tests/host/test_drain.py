"""The drain on a converged host: the service runs and reaches the gateway, and manual drains work."""

from __future__ import annotations

import json

from testinfra.host import Host


def test_the_service_runs_now_and_at_boot(host: Host) -> None:
    service = host.service("ollama-gpu-drain.service")
    assert service.is_enabled
    assert service.is_running


def test_service_has_no_capabilities(host: Host) -> None:
    shown = host.check_output(
        "systemctl show --property CapabilityBoundingSet,NoNewPrivileges ollama-gpu-drain.service"
    )
    assert dict(line.split("=", 1) for line in shown.splitlines()) == {
        "CapabilityBoundingSet": "",
        "NoNewPrivileges": "yes",
    }


def test_time_budget_is_shorter_than_a_spot_notice(host: Host) -> None:
    words = host.check_output("systemctl show --property ExecStart --value ollama-gpu-drain.service").split()
    assert 0 < float(words[words.index("--seconds") + 1]) < 120


def test_boto3_is_installed_for_the_lifecycle_hook(host: Host) -> None:
    assert host.run("python3 -I -c 'import boto3'").rc == 0


def test_manual_drain_fails_the_health_page_at_once_and_can_be_undone(host: Host) -> None:
    health = "echo 'show servers state instance' | python3 -c " + (
        '\'import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect("/run/haproxy/admin.sock");'
        " s.sendall(sys.stdin.buffer.read()); print(s.makefile().read())'"
    )
    page = "curl --silent --insecure --max-time 10 --output /dev/null --write-out '%{http_code}' https://127.0.0.1:8443/healthz"
    try:
        assert host.run("ollama-gpu-drain now --settle 1 --seconds 60").rc == 0
        assert json.loads(host.check_output("ollama-gpu-drain status --json"))["draining"] is True
        assert host.check_output(page) == "503"
        assert maintained(host.check_output(health))
    finally:
        assert host.run("ollama-gpu-drain undo").rc == 0
    assert json.loads(host.check_output("ollama-gpu-drain status --json"))["draining"] is False
    assert not maintained(host.check_output(health))


def maintained(state: str) -> bool:
    """Return whether HAProxy's server instance/health is in maintenance (srv_admin_state, the seventh column)."""
    row = next(line.split() for line in state.splitlines() if " instance " in line and " health " in line)
    return row[6] != "0"
