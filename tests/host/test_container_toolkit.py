"""The container toolkit: a second runtime for Docker, and a GPU specification that every boot generates."""

from __future__ import annotations

import json
from typing import Any

import pytest

DRIVER = "/proc/driver/nvidia/version"


@pytest.fixture
def docker(host: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(host.check_output("docker info --format '{{json .}}'"))
    return answer


def test_docker_has_the_runtime_and_keeps_its_own_as_default(docker: dict[str, Any]) -> None:
    assert docker["Runtimes"]["nvidia"]["path"] == "nvidia-container-runtime"
    assert docker["DefaultRuntime"] == "runc"


def test_settings_of_others_in_daemon_json_are_still_there(host: Any) -> None:
    settings = json.loads(host.file("/etc/docker/daemon.json").content_string)
    assert settings["features"]["cdi"] is True
    assert settings["log-driver"] == "journald"


def test_runtime_of_docker_exists(host: Any) -> None:
    assert host.run("nvidia-container-runtime --version").rc == 0
    assert "NVIDIA Container Toolkit CLI version" in host.check_output("nvidia-ctk --version")


def test_the_packages_are_held(host: Any) -> None:
    if host.exists("apt-mark"):
        held = host.check_output("apt-mark showhold").split()
    else:
        held = host.check_output("dnf --quiet versionlock list").splitlines()
    assert any(name.startswith("nvidia-container-toolkit") for name in held)


def test_repository_has_a_separate_key(host: Any) -> None:
    listing = host.file("/etc/apt/sources.list.d/nvidia-container-toolkit.list")
    if not host.exists("apt-get"):
        pytest.skip("this system has dnf")
    assert "signed-by=/usr/share/keyrings/nvidia-container-toolkit.asc" in listing.content_string
    assert "BEGIN PGP PUBLIC KEY BLOCK" in host.file("/usr/share/keyrings/nvidia-container-toolkit.asc").content_string


def test_no_gpu_specification_survives_a_reboot(host: Any) -> None:
    assert not host.file("/etc/cdi/nvidia.yaml").exists


def test_gpu_specification_is_generated_before_docker_only_with_the_driver(host: Any) -> None:
    unit = host.service("nvidia-cdi-refresh.service")
    assert unit.is_enabled
    properties = unit.systemd_properties
    assert "docker.service" in properties["Before"].split()
    assert "nvidia-persistenced.service" in properties["After"].split()
    assert "multi-user.target" not in properties["After"].split()
    assert f"ConditionPathExists={DRIVER}" in host.check_output("systemctl cat nvidia-cdi-refresh.service")
    assert "nvidia-cdi-refresh" not in host.check_output("systemctl --failed --plain --no-legend --all")


def test_containers_can_use_every_gpu(host: Any) -> None:
    if not host.file(DRIVER).exists:
        pytest.skip("needs an NVIDIA GPU")
    assert "nvidia.com/gpu=all" in host.check_output("nvidia-ctk cdi list")
    assert host.file("/var/run/cdi/nvidia.yaml").exists
