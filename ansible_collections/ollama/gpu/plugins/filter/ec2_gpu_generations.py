# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.ollama.gpu.plugins.module_utils import gpu_matrix

DOCUMENTATION = r"""
name: ec2_gpu_generations
short_description: Returns the GPU generations of EC2 instance types
description:
  - Use it for an image that is baked on a machine without a GPU and must support these types.
version_added: 0.1.0
author:
  - The ollama-gpu maintainers (@ollama-gpu)
positional: _input
options:
  _input:
    description: EC2 instance types.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Set the GPU generations of the image
  ansible.builtin.set_fact:
    generations: "{{ ['g5.2xlarge', 'g6.2xlarge'] | ollama.gpu.ec2_gpu_generations }}" # ['ada', 'ampere']
"""

RETURN = r"""
_value:
  description: The distinct generations, sorted.
  type: list
  elements: str
"""


def ec2_gpu_generations(instance_types: list[str]) -> list[str]:
    try:
        return sorted({gpu_matrix.family_generation(str(one)) for one in instance_types})
    except ValueError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"ec2_gpu_generations": ec2_gpu_generations}
