"""Open WebUI on a converged host: one container per port, with minimal rights."""

from __future__ import annotations

import json
from typing import Any

import pytest

SECRETS = "/run/ollama-gpu/open-webui.env"
UNITS = "/etc/systemd/system/multi-user.target.wants"
STARTER = "/usr/local/sbin/ollama-gpu-open-webui"


@pytest.fixture(scope="module")
def configuration(host: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(host.file("/etc/open-webui/container.json").content_string)
    return read


@pytest.fixture(scope="module")
def ports(host: Any) -> list[int]:
    units = host.check_output(f"find {UNITS} -name 'open-webui@*.service' -printf '%f\\n'").split()
    return sorted(int(unit.partition("@")[2].removesuffix(".service")) for unit in units)


@pytest.fixture(scope="module")
def running(host: Any, ports: list[int]) -> dict[int, dict[str, Any]]:
    """`docker inspect` of each process's container."""
    if not host.file(SECRETS).exists:
        pytest.skip("needs secrets; a bake has none")
    return {port: json.loads(host.check_output(f"docker inspect open-webui-{port}"))[0] for port in ports}


def test_the_processes_have_consecutive_ports(ports: list[int]) -> None:
    assert ports
    assert ports == list(range(ports[0], ports[0] + len(ports)))


def test_image_exists_on_the_host(host: Any, configuration: dict[str, Any]) -> None:
    assert host.run(f"docker image inspect {configuration['image']}").rc == 0
    assert "@sha256:" in configuration["image"] or configuration["image"].startswith("ollama-gpu/open-webui:")


def test_without_secrets_the_units_are_enabled_and_do_not_start(host: Any, ports: list[int]) -> None:
    unit = f"open-webui@{ports[0]}.service"
    assert host.service(unit).is_enabled
    assert f"ConditionPathExists={SECRETS}" in host.check_output(f"systemctl cat {unit}")
    if not host.file(SECRETS).exists:
        assert not host.service(unit).is_running


def test_secrets_are_in_memory_and_readable_by_root_only(host: Any, running: dict[int, dict[str, Any]]) -> None:
    folder = host.file("/run/ollama-gpu")
    assert (folder.user, folder.group, folder.mode) == ("root", "root", 0o700)
    assert host.file(SECRETS).mode == 0o400
    assert host.check_output("stat --file-system --format %T /run/ollama-gpu") == "tmpfs"


def test_docker_and_the_process_list_show_no_secret(host: Any, running: dict[int, dict[str, Any]]) -> None:
    lines = host.file(SECRETS).content_string.splitlines()
    secrets = [value for _, _, value in (line.partition("=") for line in lines) if value]
    assert len(secrets) == 3
    shown = json.dumps(list(running.values())) + host.check_output("ps axww -o args")
    for secret in secrets:
        # an address has its password between the colon and the host
        assert secret.partition("@")[0].rpartition(":")[2] not in shown


def test_process_runs_without_capabilities(host: Any, running: dict[int, dict[str, Any]]) -> None:
    for container in running.values():
        status = host.file(f"/proc/{container['State']['Pid']}/status").content_string
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert int(fields["CapEff"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
        assert fields["Uid"].split()[0] != "0"
        assert container["HostConfig"]["ReadonlyRootfs"]
        assert container["HostConfig"]["Memory"] > 0
        assert container["HostConfig"]["LogConfig"]["Type"] == "journald"


def test_each_process_is_ready_and_listens_on_loopback_only(host: Any, running: dict[int, dict[str, Any]]) -> None:
    for port in running:
        assert host.run(f"curl --silent --fail --max-time 10 http://127.0.0.1:{port}/ready").rc == 0
        assert host.socket(f"tcp://127.0.0.1:{port}").is_listening
        assert not host.socket(f"tcp://0.0.0.0:{port}").is_listening


def test_sign_up_is_closed(host: Any, running: dict[int, dict[str, Any]]) -> None:
    body = '{"email": "stranger@example.com", "password": "strange-password-1", "name": "stranger"}'
    answer = host.check_output(
        "curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}'"
        f" --header 'content-type: application/json' --data '{body}' http://127.0.0.1:{min(running)}/api/v1/auths/signup"
    )
    assert answer == "403"


def test_the_migration_has_been_done(host: Any, running: dict[int, dict[str, Any]]) -> None:
    again = host.run(f"{STARTER} migrate")
    assert again.rc == 0, again.stderr
    assert "unchanged: the schema is at" in again.stdout


def test_the_containers_have_the_gpus(host: Any, running: dict[int, dict[str, Any]]) -> None:
    if not host.file("/proc/driver/nvidia/version").exists:
        pytest.skip("needs an NVIDIA GPU")
    for container in running.values():
        assert container["HostConfig"]["Runtime"] == "nvidia"
    assert host.run(f"docker exec open-webui-{min(running)} nvidia-smi --list-gpus").rc == 0
