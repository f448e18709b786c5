"""The driver: one version, built for this host's kernel, held with it, and started only with a GPU."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

# packages of the driver; the container toolkit has its own versions
DRIVER = re.compile(
    r"^(libcuda1|libnvidia-(ml1|compute.*|cfg1.*|ptxjitcompiler1)|kmod-nvidia-.*|nvidia-(kernel-(open-)?dkms|kernel-support"
    r"|smi|dkms.*|utils.*|compute-utils.*|driver-cuda.*|alternative))$"
)
KERNEL = re.compile(r"^(linux-(image|headers)-|kernel([0-9.]*)(-devel)?$)")

GATE = "/etc/systemd/system/nvidia-persistenced.service.d/ollama-gpu-gate.conf"


@pytest.fixture(autouse=True)
def _driver_is_wanted(host: Any) -> None:
    # the scenario that installs it sets the variable, so that a role that did nothing is not skipped
    if not (os.environ.get("OLLAMA_GPU_DRIVER_EXPECTED") or host.file(GATE).exists):
        pytest.skip("this host was converged without the driver (nvidia_driver_enabled)")


@pytest.fixture
def packages(host: Any) -> dict[str, str]:
    """Installed packages and their upstream versions."""
    if host.exists("dpkg-query"):
        listing = host.check_output("dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n'")
        rows = [line.split()[1:] for line in listing.splitlines() if line.startswith("installed ")]
    else:
        rows = [line.split() for line in host.check_output("rpm -qa --qf '%{NAME} %{VERSION}\\n'").splitlines()]
    return {name: re.sub(r"^\d+:", "", version).split("-")[0] for name, version in rows}


@pytest.fixture
def driver(packages: dict[str, str]) -> dict[str, str]:
    found = {name: version for name, version in packages.items() if DRIVER.match(name)}
    assert found, "no package of the driver is installed"
    return found


@pytest.fixture
def kernel(host: Any) -> str:
    """The running kernel, or in a container the kernel that the modules were built for."""
    running: str = host.check_output("uname -r")
    if host.file(f"/lib/modules/{running}").exists:
        return running
    kernels: list[str] = host.check_output("ls /lib/modules").split()
    assert len(kernels) == 1
    return kernels[0]


@pytest.fixture
def gpus(host: Any) -> list[str]:
    """PCI addresses of the host's GPUs."""
    listing = host.run("grep -lsx 0x10de /sys/bus/pci/devices/*/vendor").stdout.split()
    folders = [path.removesuffix("/vendor") for path in listing]
    found = [one for one in folders if host.file(f"{one}/class").content_string.startswith(("0x0300", "0x0302"))]
    if not found:
        pytest.skip("needs an NVIDIA GPU")
    return found


def test_all_packages_have_one_version(driver: dict[str, str]) -> None:
    assert len(set(driver.values())) == 1, driver


def test_driver_and_kernel_are_held(host: Any, packages: dict[str, str], driver: dict[str, str]) -> None:
    wanted = set(driver) | {name for name in packages if KERNEL.match(name)}
    assert any(KERNEL.match(name) for name in wanted), "no kernel and no headers"
    if host.exists("apt-mark"):
        held = set(host.check_output("apt-mark showhold").split())
    else:
        listing = host.check_output("dnf --quiet versionlock list")
        held = {re.sub(r"-\d+:.*", "", line) for line in listing.splitlines()}
    assert wanted <= held, wanted - held


def test_the_modules_are_built_for_this_kernel_in_the_libraries_version(
    host: Any, kernel: str, driver: dict[str, str]
) -> None:
    names = ["nvidia", "nvidia-current"]  # Debian's own package renames it
    versions = {host.run(f"modinfo -k {kernel} -F version {name}").stdout.strip() for name in names} - {""}
    assert versions == set(driver.values())
    if host.exists("dkms"):
        assert re.search(rf"nvidia.*{re.escape(kernel)}.*: installed", host.check_output("dkms status"))


def test_nvidia_and_its_unified_memory_are_loaded_at_boot_and_nouveau_is_not(host: Any) -> None:
    loaded = host.file("/etc/modules-load.d/ollama-gpu-nvidia.conf").content_string.split("\n")
    assert {"nvidia", "nvidia-uvm"} <= set(loaded)
    assert "blacklist nouveau" in host.check_output("modprobe --showconfig").splitlines()


def test_driver_and_kernel_are_not_upgraded_automatically(host: Any) -> None:
    if not host.exists("apt-config"):
        assert not host.service("dnf-automatic-install.timer").is_enabled
        return
    for timer in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert not host.service(timer).is_enabled
        assert not host.service(timer).is_running
    settings = host.check_output("apt-config dump")
    for prefix in ("nvidia-", "libnvidia-", "cuda-", "linux-"):
        assert f'Unattended-Upgrade::Package-Blacklist:: "{prefix}";' in settings


def test_the_persistence_daemon_starts_at_boot_but_only_with_the_driver(host: Any) -> None:
    unit = host.check_output("systemctl cat nvidia-persistenced.service")
    assert host.service("nvidia-persistenced.service").is_enabled
    assert "ConditionPathExists=/proc/driver/nvidia/version" in unit
    last = [line for line in unit.splitlines() if line.startswith("ExecStart=")][-1]
    assert last.endswith(" --persistence-mode")
    assert "--no-persistence-mode" not in last


def test_no_unit_of_nvidia_has_failed(host: Any) -> None:
    assert "nvidia" not in host.check_output("systemctl --failed --plain --no-legend --all")


def test_the_fabric_manager_waits_for_an_nvswitch(host: Any) -> None:
    gate = host.file("/etc/systemd/system/nvidia-fabricmanager.service.d/ollama-gpu-gate.conf")
    assert "ConditionPathExists=/dev/nvidia-nvswitch0" in gate.content_string


def test_every_gpu_answers_and_stays_initialized(host: Any, gpus: list[str], driver: dict[str, str]) -> None:
    rows = host.check_output(
        "nvidia-smi --query-gpu=uuid,driver_version,persistence_mode --format=csv,noheader"
    ).splitlines()
    assert len(rows) == len(gpus)
    for row in rows:
        uuid, version, persistence = [field.strip() for field in row.split(",")]
        assert uuid.startswith("GPU-")
        assert version in driver.values()
        assert persistence == "Enabled"


def test_device_nodes_of_cuda_exist(host: Any, gpus: list[str]) -> None:
    for node in ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm"):
        assert host.file(node).exists, node
