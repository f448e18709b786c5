#!/usr/bin/python
# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""Reads parameters of the Systems Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: parameter_info
short_description: Reads parameters of AWS Systems Manager
version_added: "0.1.0"
description:
  - Reads SSM parameters with the credentials of the host that it runs on, an instance's role as a rule.
  - Waits for one that does not exist yet, for the first deploy starts instances while it is still publishing.
options:
  names:
    description: The parameters to read, each by the key that its value is returned under.
    type: dict
    required: true
  wait_seconds:
    description: How long to wait for a parameter that does not exist.
    type: int
    default: 0
  region:
    description: AWS region.
    type: str
    required: true
  endpoint_url:
    description: Address of AWS where it is not the usual one; the variable E(AWS_ENDPOINT_URL) otherwise.
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
- name: Read what the fabric tells an instance
  ollama.gpu.parameter_info:
    names:
      fabric: /ollama-gpu/prod/fabric
    region: eu-central-1
    wait_seconds: 600
  register: parameters
"""

RETURN = r"""
parameters:
  description: The value of each parameter by its key; a JSON object or array is parsed.
  returned: success
  type: dict
  sample:
    fabric:
      environment: prod
"""

import time  # noqa: E402 - ansible-test wants the documentation first

from ansible.module_utils.basic import AnsibleModule  # noqa: E402
from ansible_collections.ollama.gpu.plugins.module_utils.aws import (  # noqa: E402
    CONNECTION_SPEC,
    client,
    code,
    errors,
    parsed,
)

POLL_SECONDS = 5


def read(module, ssm, name, deadline):
    while True:
        try:
            return parsed(ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
        except errors() as error:
            if code(error) != "ParameterNotFound":
                module.fail_json(msg=f"The parameter {name} cannot be read: {error}")
            if time.monotonic() >= deadline:
                module.fail_json(msg=f"The parameter {name} does not exist: run the deploy of this environment again.")
        time.sleep(POLL_SECONDS)


def main():
    module = AnsibleModule(
        argument_spec={
            **CONNECTION_SPEC,
            "names": {"type": "dict", "required": True},
            "wait_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    ssm = client(module, "ssm")
    deadline = time.monotonic() + module.params["wait_seconds"]
    values = {key: read(module, ssm, name, deadline) for key, name in module.params["names"].items()}
    module.exit_json(changed=False, parameters=values)


if __name__ == "__main__":
    main()
