#!/usr/bin/python
# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Finds the NVIDIA GPUs of a host
description:
  - Reads PCI devices from C(/sys), so that GPUs are found before any driver is installed.
  - Reads further details from C(nvidia-smi) if it answers.
  - Changes nothing.
version_added: 0.1.0
author:
  - The ollama-gpu maintainers (@ollama-gpu)
options:
  sysfs:
    description: Mount point of the kernel's device tree.
    type: path
    default: /sys
  nvidia_smi:
    description: The nvidia-smi program. A name is looked up on the C(PATH).
    type: str
    default: nvidia-smi
  timeout_seconds:
    description: Seconds after which a driver that does not answer counts as broken.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: It changes nothing in any mode.
"""

EXAMPLES = r"""
- name: Find the GPUs
  ollama.gpu.gpu_info:
  register: host

- name: Fail if the host has no GPU
  ansible.builtin.assert:
    that: host.gpus | length > 0
"""

RETURN = r"""
gpus:
  description: The GPUs in the order of their PCI addresses.
  returned: always
  type: list
  elements: dict
  contains:
    pci:
      description: Address on the PCI bus.
      type: str
      sample: "0000:00:1e.0"
    device_id:
      description: PCI device id in hexadecimal.
      type: str
      sample: 2237
    name:
      description: Name from the driver, or else from this collection. Empty if unknown.
      type: str
      sample: NVIDIA A10G
    generation:
      description: NVIDIA's architecture in lower case, or C(unknown) for a GPU that is newer than this collection.
      type: str
      sample: ampere
    uuid:
      description: The driver's identifier of this GPU. Empty if the driver does not answer.
      type: str
      sample: GPU-2f0e7c9b-5a51-4c8e-8c60-3a8d1b1f3d2a
    memory_mib:
      description: Memory in MiB. 0 if the driver does not answer.
      type: int
      sample: 23028
    compute:
      description: CUDA compute capability. Empty if the driver does not answer.
      type: str
      sample: "8.6"
generations:
  description: The distinct generations, sorted.
  returned: always
  type: list
  elements: str
  sample: [ampere]
mixed:
  description: Whether the host has GPUs of different models.
  returned: always
  type: bool
nvswitch:
  description: Whether there is an NVSwitch, which needs the fabric manager.
  returned: always
  type: bool
driver_version:
  description: Version of the driver. Empty if it does not answer.
  returned: always
  type: str
  sample: 580.159.03
driver_error:
  description: Error of a driver that does not answer. Empty if it answers or if there is no driver.
  returned: always
  type: str
secure_boot:
  description: Whether the firmware refuses unsigned kernel modules.
  returned: always
  type: bool
"""

from pathlib import Path  # noqa: E402 - ansible-test requires the documentation first
from typing import Any  # noqa: E402

from ansible.module_utils.basic import AnsibleModule  # noqa: E402

from ansible_collections.ollama.gpu.plugins.module_utils import gpu_scan  # noqa: E402


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "sysfs": {"type": "path", "default": "/sys"},
            "nvidia_smi": {"type": "str", "default": "nvidia-smi"},
            "timeout_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    sysfs = Path(module.params["sysfs"])
    gpus, nvswitch = gpu_scan.nvidia_devices(sysfs)
    driver_version, driver_error = ask_driver(module, gpus)
    module.exit_json(
        changed=False,
        gpus=gpus,
        generations=sorted({gpu["generation"] for gpu in gpus}),
        mixed=len({gpu["device_id"] for gpu in gpus}) > 1,
        nvswitch=nvswitch,
        driver_version=driver_version,
        driver_error=driver_error,
        secure_boot=gpu_scan.secure_boot(sysfs),
    )


def ask_driver(module: AnsibleModule, gpus: list[dict[str, Any]]) -> tuple[str, str]:
    """Add the driver's details to the GPUs. Returns its version and, if it does not answer, the cause."""
    program = module.get_bin_path(module.params["nvidia_smi"])
    if program is None:
        return "", ""
    query = [program, "--query-gpu=" + ",".join(gpu_scan.SMI_FIELDS), "--format=csv,noheader,nounits"]
    limit = str(module.params["timeout_seconds"])
    status, output, errors = module.run_command(["timeout", "--kill-after=5", limit, *query])
    if status == 124:
        return "", f"{program} did not answer within {limit} seconds"
    if status != 0:
        return "", f"{program} exits {status}: {(errors.strip() or output.strip())[:500]}"
    return gpu_scan.complete(gpus, output), ""


if __name__ == "__main__":
    main()
