#!/usr/bin/python
# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""Reads parameters of AWS Systems Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: parameter_info
short_description: Reads parameters of AWS Systems Manager
version_added: "0.1.0"
description:
  - Reads SSM parameters with the credentials of the host, usually the instance's role.
  - Waits for a missing parameter, because the first deploy starts instances before it has published all parameters.
options:
  names:
    description: The names of the parameters to read, by the keys of the result.
    type: dict
    required: true
  wait_seconds:
    description: Seconds to wait for a parameter that does not exist.
    type: int
    default: 0
  region:
    description: AWS region.
    type: str
    required: true
  endpoint_url:
    description: Address of AWS if it is not the default. Falls back to the variable E(AWS_ENDPOINT_URL).
    type: str
attributes:
  check_mode:
    description: It changes nothing, so check mode makes no difference.
    support: full
requirements:
  - boto3 >= 1.20
author:
  - The ollama-gpu maintainers (@ollama-gpu)
"""

EXAMPLES = r"""
- name: Read the environment's parameters
  ollama.gpu.parameter_info:
    names:
      fabric: /ollama-gpu/prod/fabric
    region: eu-central-1
    wait_seconds: 600
  register: parameters
"""

RETURN = r"""
parameters:
  description: The value of each parameter by its key. JSON objects and arrays are parsed.
  returned: success
  type: dict
  sample:
    fabric:
      environment: prod
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402 - ansible-test requires the documentation first

from ansible_collections.ollama.gpu.plugins.module_utils.aws import READ_SPEC, client, read_all  # noqa: E402


def main():
    module = AnsibleModule(argument_spec=READ_SPEC, supports_check_mode=True)
    ssm = client(module, "ssm")

    def read(name):
        return ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]

    values = read_all(module, read, "parameter", "ParameterNotFound", "does not exist")
    module.exit_json(changed=False, parameters=values)


if __name__ == "__main__":
    main()
