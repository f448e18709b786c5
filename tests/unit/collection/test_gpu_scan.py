"""GPUs are found in a tree like the kernel's /sys without a driver, and completed with nvidia-smi's output."""

from __future__ import annotations

from pathlib import Path

import pytest

from .plugins import load

scan = load("module_utils.gpu_scan")

A10G, T4, AMPERE_NVSWITCH, NETWORK_CARD = "0x2237", "0x1eb8", "0x1af1", "0xec20"


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    return tmp_path / "sys"


def plug(sysfs: Path, address: str, device: str, pci_class: str = "0x030200", vendor: str = "0x10de") -> None:
    folder = sysfs / "bus/pci/devices" / address
    folder.mkdir(parents=True)
    for name, value in (("vendor", vendor), ("device", device), ("class", pci_class)):
        (folder / name).write_text(f"{value}\n")


def test_gpus_are_found_in_the_order_of_their_addresses(sysfs: Path) -> None:
    plug(sysfs, "0000:00:1e.0", A10G)
    plug(sysfs, "0000:00:1b.0", T4)
    gpus, _nvswitch = scan.nvidia_devices(sysfs)
    assert [(gpu["pci"], gpu["device_id"], gpu["generation"], gpu["name"]) for gpu in gpus] == [
        ("0000:00:1b.0", "1eb8", "turing", "T4"),
        ("0000:00:1e.0", "2237", "ampere", "A10G"),
    ]


def test_other_vendors_and_audio_functions_are_no_gpus(sysfs: Path) -> None:
    plug(sysfs, "0000:00:05.0", NETWORK_CARD, "0x020000", vendor="0x1d0f")
    plug(sysfs, "0000:00:06.0", "0x10fa", "0x040300")
    assert scan.nvidia_devices(sysfs) == ([], False)


def test_nvswitch_is_found_and_is_no_gpu(sysfs: Path) -> None:
    plug(sysfs, "0000:c0:00.0", AMPERE_NVSWITCH, "0x068000")
    assert scan.nvidia_devices(sysfs) == ([], True)


def test_a_host_without_a_pci_bus_has_none(sysfs: Path) -> None:
    assert scan.nvidia_devices(sysfs) == ([], False)


def test_the_driver_completes_the_gpus_by_their_addresses(sysfs: Path) -> None:
    plug(sysfs, "0000:00:1b.0", A10G)
    plug(sysfs, "0000:00:1e.0", A10G)
    gpus, _nvswitch = scan.nvidia_devices(sysfs)
    output = (
        "00000000:00:1E.0, GPU-eeee, 23028, 8.6, NVIDIA A10G, 580.159.03\n"
        "00000000:00:1B.0, GPU-bbbb, 23028, 8.6, NVIDIA A10G, 580.159.03\n"
    )
    assert scan.complete(gpus, output) == "580.159.03"
    assert [(gpu["uuid"], gpu["memory_mib"], gpu["compute"], gpu["name"]) for gpu in gpus] == [
        ("GPU-bbbb", 23028, "8.6", "NVIDIA A10G"),
        ("GPU-eeee", 23028, "8.6", "NVIDIA A10G"),
    ]


def test_a_gpu_that_fell_off_the_bus_stays_without_uuid(sysfs: Path) -> None:
    plug(sysfs, "0000:00:1b.0", T4)
    plug(sysfs, "0000:00:1e.0", T4)
    gpus, _nvswitch = scan.nvidia_devices(sysfs)
    scan.complete(gpus, "00000000:00:1E.0, GPU-eeee, [N/A], 7.5, Tesla T4, 580.159.03\n")
    assert [(gpu["uuid"], gpu["memory_mib"]) for gpu in gpus] == [("", 0), ("GPU-eeee", 0)]


@pytest.mark.parametrize(("value", "expected"), [(b"\x06\0\0\0\x01", True), (b"\x06\0\0\0\0", False), (None, False)])
def test_secure_boot_is_read_from_the_firmware(sysfs: Path, value: bytes | None, expected: bool) -> None:
    if value is not None:
        variable = sysfs / "firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
        variable.parent.mkdir(parents=True)
        variable.write_bytes(value)
    assert scan.secure_boot(sysfs) is expected
