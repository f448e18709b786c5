"""The gateway on a converged host: listening ports, file permissions and rejected requests."""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

CODE = "curl --silent --insecure --max-time 10 --output /dev/null --write-out '%{http_code}' "
GATEWAY = "http://127.0.0.1:11434"
FRONT_DOOR = "https://127.0.0.1:8443"


@pytest.mark.parametrize(
    "unit", ["haproxy.service", "ollama-gpu-health.service", "ollama-gpu-gateway-certificate.timer"]
)
def test_units_run_now_and_at_boot(host: Host, unit: str) -> None:
    assert host.service(unit).is_enabled
    assert host.service(unit).is_running


def test_only_the_front_door_is_reachable_from_outside(host: Host) -> None:
    assert host.socket("tcp://0.0.0.0:8443").is_listening
    for port in (11434, 8405, 8406):
        assert host.socket(f"tcp://127.0.0.1:{port}").is_listening
        assert not host.socket(f"tcp://0.0.0.0:{port}").is_listening


def test_the_configuration_is_valid_and_in_use(host: Host) -> None:
    assert host.run("haproxy -c -f /etc/haproxy/haproxy.cfg").rc == 0
    in_use = host.check_output("curl --silent --fail --max-time 10 http://127.0.0.1:8405/configuration")
    assert len(in_use) == 64
    assert in_use in host.file("/etc/haproxy/haproxy.cfg").content_string


def test_the_key_is_read_by_root_only_and_made_on_this_host(host: Host) -> None:
    key = host.file("/etc/haproxy/tls/front-door.pem")
    assert (key.user, key.group, key.mode) == ("root", "root", 0o600)
    assert host.file("/etc/haproxy/tls").mode == 0o700
    assert host.run(f"openssl x509 -in {key.path} -noout -checkend 2592000").rc == 0


def test_workers_have_no_capabilities(host: Host) -> None:
    users = host.check_output("ps -o user= -C haproxy").split()
    assert "haproxy" in users  # the master runs as root
    health = host.check_output("systemctl show --property DynamicUser --value ollama-gpu-health.service")
    assert health == "yes"


@pytest.mark.parametrize("path", ["/api/pull", "/api/delete", "/api/create", "/api/blobs/sha256-0", "//api/chat"])
def test_gateway_forbids_changes_of_models(host: Host, path: str) -> None:
    assert host.check_output(f"{CODE} --request POST --data '{{}}' {GATEWAY}{path}") == "403"


def test_the_gateway_refuses_to_unload_the_model(host: Host) -> None:
    body = '{"model":"any","keep_alive":0}'
    assert host.check_output(f"{CODE} --data '{body}' {GATEWAY}/api/generate") == "400"


@pytest.mark.parametrize("path", ["/ready", "/health", "/healthz/details", "/health/db"])
def test_the_front_door_hides_details(host: Host, path: str) -> None:
    assert host.check_output(f"{CODE} {FRONT_DOOR}{path}") == "404"


def test_front_door_does_not_expose_ollamas_api(host: Host) -> None:
    assert host.check_output(f"{CODE} --data '{{}}' {FRONT_DOOR}/ollama/api/generate") == "403"


def test_old_tls_is_refused(host: Host) -> None:
    assert host.run(f"curl --silent --insecure --tls-max 1.1 --max-time 10 {FRONT_DOOR}/healthz").rc != 0


def test_the_health_service_and_the_front_door_agree(host: Host) -> None:
    details = json.loads(host.check_output("curl --silent --max-time 10 http://127.0.0.1:8406/details"))
    expected = "503" if not details["ready"] else None
    answered = host.check_output(f"{CODE} {FRONT_DOOR}/healthz")
    assert answered in ("200", "503")
    assert expected in (None, answered), details["causes"]


def test_metrics_page_has_the_metrics_that_the_agent_reads(host: Host) -> None:
    page = host.check_output("curl --silent --max-time 10 http://127.0.0.1:8405/metrics")
    for name in (
        'haproxy_backend_current_queue{proxy="ollama"}',
        'haproxy_server_current_sessions{proxy="ollama",server="gpu0"}',
        'haproxy_server_limit_sessions{proxy="ollama",server="gpu0"}',
    ):
        assert name in page


def test_a_request_leaves_one_json_line_in_the_journal(host: Host) -> None:
    identity = host.check_output("cat /proc/sys/kernel/random/uuid")
    header = f"--header 'X-Request-Id: {identity}'"
    host.check_output(f'{CODE} {header} --data \'{{"model":"no-such-model"}}\' {GATEWAY}/api/chat')
    host.check_output("journalctl --sync")
    lines = host.check_output(f"journalctl -t ollama-gpu-requests -o cat -n 200 | grep {identity}").splitlines()
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert line["Requests"] == 1
    assert line["Model"] == "(other)"
    assert {one["Namespace"] for one in line["_aws"]["CloudWatchMetrics"]} == {"OllamaGPU"}
