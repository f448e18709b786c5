#!/usr/bin/python
# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""Reads secrets of AWS Secrets Manager."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_info
short_description: Reads secrets of AWS Secrets Manager
version_added: "0.1.0"
description:
  - Reads secrets with the credentials of the host, usually the instance's role.
  - Waits for a secret without a value, because the first deploy starts instances before it fills the secrets.
  - Set C(no_log) on the task. The message of a failure contains no secret and can be shown.
options:
  names:
    description: The names or ARNs of the secrets to read, by the keys of the result.
    type: dict
    required: true
  wait_seconds:
    description: Seconds to wait for a secret that does not exist or has no value.
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
- name: Read Open WebUI's secrets
  ollama.gpu.secret_info:
    names:
      database: ollama-gpu/prod/database
    region: eu-central-1
  register: secrets
  no_log: true
"""

RETURN = r"""
secrets:
  description: The value of each secret by its key. JSON objects and arrays are parsed.
  returned: success
  type: dict
  sample:
    database:
      username: open_webui
      password: VALUE_SPECIFIED_IN_NO_LOG_PARAMETER
"""

from ansible.module_utils.basic import AnsibleModule  # noqa: E402 - ansible-test requires the documentation first

from ansible_collections.ollama.gpu.plugins.module_utils.aws import READ_SPEC, client, read_all  # noqa: E402


def main():
    module = AnsibleModule(argument_spec=READ_SPEC, supports_check_mode=True)
    manager = client(module, "secretsmanager")

    def read(name):
        return manager.get_secret_value(SecretId=name)["SecretString"]

    values = read_all(module, read, "secret", "ResourceNotFoundException", "has no value")
    module.exit_json(changed=False, secrets=values)


if __name__ == "__main__":
    main()
