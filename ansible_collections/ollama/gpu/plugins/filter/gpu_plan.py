# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.ollama.gpu.plugins.module_utils import gpu_matrix

DOCUMENTATION = r"""
name: gpu_plan
short_description: Checks the combination of GPUs, driver branch, kernel modules, CUDA and Ollama's library
description:
  - Chooses the kernel module flavour and Ollama's CUDA library for a host's GPUs.
  - Reports incompatible settings as messages.
version_added: 0.1.0
author:
  - The ollama-gpu maintainers (@ollama-gpu)
positional: _input
options:
  _input:
    description: Generations of the GPUs, as M(ollama.gpu.gpu_info) returns them. An empty list if the GPUs are unknown.
    type: list
    elements: str
    required: true
  branch:
    description: Driver branch.
    type: str
    required: true
  cuda:
    description: CUDA release that must run. Empty for none.
    type: str
    default: ""
  flavour:
    description: Kernel module flavour.
    type: str
    choices: [auto, open, proprietary]
    default: auto
  ollama_library:
    description: CUDA library that Ollama uses. V(none) for a host without Ollama.
    type: str
    choices: [auto, none, cuda_v12, cuda_v13]
    default: auto
"""

EXAMPLES = r"""
- name: Fail if the combination cannot work
  ansible.builtin.assert:
    that: plan.problems | length == 0
    fail_msg: "{{ plan.problems | join(' ') }}"
  vars:
    plan: "{{ ['volta'] | ollama.gpu.gpu_plan(branch='580', cuda='12.9') }}"
"""

RETURN = r"""
_value:
  description:
    - C(flavour) and C(ollama_library), the chosen values.
    - C(problems), messages with remedies. Empty if the combination works.
  type: dict
"""


def gpu_plan(
    generations: list[str], branch: str, cuda: str = "", flavour: str = "auto", ollama_library: str = "auto"
) -> dict[str, Any]:
    try:
        return gpu_matrix.plan(list(generations), str(branch), str(cuda), flavour, ollama_library)._asdict()
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"gpu_plan": gpu_plan}
