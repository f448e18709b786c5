"""On a machine without a GPU the real driver is installed, does not load, and no unit fails."""

from __future__ import annotations

import os
from typing import Any

import pytest

GATE = "/etc/systemd/system/nvidia-persistenced.service.d/ollama-gpu-gate.conf"


@pytest.fixture(autouse=True)
def _driver_is_wanted(host: Any) -> None:
    # the scenario that installs it sets the variable, so that a role that did nothing is not skipped
    if not (os.environ.get("OLLAMA_GPU_DRIVER_EXPECTED") or host.file(GATE).exists):
        pytest.skip("this host was converged without the driver (nvidia_driver_enabled)")
    if host.file("/proc/driver/nvidia/version").exists:
        pytest.skip("this host has an NVIDIA GPU")


def test_nvidia_smi_reports_that_no_driver_is_running(host: Any) -> None:
    answer = host.run("nvidia-smi")
    assert answer.rc == 9
    assert "NVIDIA-SMI has failed" in answer.stdout


def test_the_module_does_not_load(host: Any) -> None:
    assert host.run("modprobe nvidia").rc == 1
    assert not host.file("/proc/driver/nvidia/version").exists


def test_the_daemon_waits_for_a_gpu_instead_of_failing(host: Any) -> None:
    assert host.run("systemctl start nvidia-persistenced.service").rc == 0
    properties = host.check_output("systemctl show -p ConditionResult,ActiveState nvidia-persistenced.service")
    assert sorted(properties.split()) == ["ActiveState=inactive", "ConditionResult=no"]


def test_systemd_has_no_failed_unit(host: Any) -> None:
    assert host.run("systemctl is-system-running").stdout.strip() == "running", host.run("systemctl --failed").stdout
