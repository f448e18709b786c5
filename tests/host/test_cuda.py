"""CUDA: programs find its runtime, and its version is held."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

GATE = "/etc/systemd/system/nvidia-persistenced.service.d/ollama-gpu-gate.conf"


@pytest.fixture(autouse=True)
def _cuda_is_wanted(host: Any) -> None:
    # the scenario that installs it sets the variable, so that a role that did nothing is not skipped
    if not (os.environ.get("OLLAMA_GPU_DRIVER_EXPECTED") or host.file(GATE).exists):
        pytest.skip("this host was converged without driver and CUDA (nvidia_driver_enabled)")


def runtime(host: Any) -> str:
    found = re.search(r"libcudart\.so\.[\d.]+", host.check_output("ldconfig -p"))
    assert found, "no libcudart in the linker's cache"
    return found[0]


def test_programs_find_the_runtime(host: Any) -> None:
    assert runtime(host)


def test_the_runtime_loads(host: Any) -> None:
    program = f"import ctypes; ctypes.CDLL('{runtime(host)}').cudaGetDeviceCount"
    assert host.run(f'python3 -c "{program}"').rc == 0


def test_the_runtime_reaches_the_gpus(host: Any) -> None:
    if not host.file("/proc/driver/nvidia/version").exists:
        pytest.skip("needs an NVIDIA GPU")
    ask = "n = ctypes.c_int(); assert cuda.cudaGetDeviceCount(ctypes.byref(n)) == 0; print(n.value)"
    count = host.check_output(f"python3 -c \"import ctypes; cuda = ctypes.CDLL('{runtime(host)}'); {ask}\"")
    assert int(count) == len(host.check_output("nvidia-smi -L").splitlines())


def test_packages_are_held(host: Any) -> None:
    if host.exists("apt-mark"):
        held = host.check_output("apt-mark showhold")
    else:
        held = host.check_output("dnf --quiet versionlock list")
    assert re.search(r"cudart|cuda-toolkit", held)
