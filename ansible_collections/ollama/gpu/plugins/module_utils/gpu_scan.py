# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""Find a host's NVIDIA hardware in /sys, and complete it with nvidia-smi's output."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ansible_collections.ollama.gpu.plugins.module_utils import gpu_matrix

NVIDIA = 0x10DE
GPU_CLASSES = (0x0300, 0x0302)  # VGA and 3D controller; the audio function of a GPU is 0x0403
BRIDGE_CLASS = 0x0680  # NVSwitch: 1af1 with A100, 22a3 with H100
SECURE_BOOT = "firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SMI_FIELDS = ("pci.bus_id", "uuid", "memory.total", "compute_cap", "name", "driver_version")


def nvidia_devices(sysfs: Path) -> tuple[list[dict[str, Any]], bool]:
    """Return the GPUs in the order of their PCI addresses, and whether there is an NVSwitch."""
    gpus: list[dict[str, Any]] = []
    nvswitch = False
    for folder in sorted(sysfs.glob("bus/pci/devices/*")):
        if _number(folder / "vendor") != NVIDIA:
            continue
        pci_class = _number(folder / "class") >> 8
        device_id = _number(folder / "device")
        if pci_class == BRIDGE_CLASS:
            nvswitch = True
        elif pci_class in GPU_CLASSES:
            gpus.append(
                {
                    "pci": folder.name,
                    "device_id": f"{device_id:04x}",
                    "name": gpu_matrix.DEVICE_NAMES.get(device_id, ""),
                    "generation": gpu_matrix.generation_of(device_id),
                    "uuid": "",
                    "memory_mib": 0,
                    "compute": "",
                }
            )
    return gpus, nvswitch


def secure_boot(sysfs: Path) -> bool:
    """Return whether the firmware checks signatures. The variable has four bytes of attributes and one of value."""
    try:
        return (sysfs / SECURE_BOOT).read_bytes()[4:5] == b"\x01"
    except OSError:
        return False


def complete(gpus: list[dict[str, Any]], smi_output: str) -> str:
    """Add nvidia-smi's output for SMI_FIELDS (CSV, no header, no units) to the GPUs. Returns the driver's version."""
    by_address = {gpu["pci"]: gpu for gpu in gpus}
    version = ""
    for row in csv.reader(smi_output.splitlines(), skipinitialspace=True):
        if len(row) != len(SMI_FIELDS):
            continue
        bus_id, uuid, memory, compute, name, version = row
        gpu = by_address.get(_sysfs_address(bus_id))
        if gpu is not None:
            gpu.update(uuid=uuid, memory_mib=int(memory) if memory.isdigit() else 0, compute=compute, name=name)
    return version


def _sysfs_address(bus_id: str) -> str:
    # nvidia-smi has 00000000:00:1E.0, /sys has 0000:00:1e.0
    domain, _colon, rest = bus_id.lower().partition(":")
    return f"{domain[-4:]}:{rest}"


def _number(path: Path) -> int:
    try:
        return int(path.read_text(encoding="ascii"), 16)
    except (OSError, ValueError):
        return 0
