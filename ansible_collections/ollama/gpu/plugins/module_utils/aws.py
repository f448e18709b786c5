# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""AWS for the modules that run on an instance with its role."""

from __future__ import annotations

import json
import os
import time

try:
    import boto3
    import botocore.exceptions
    from botocore.config import Config

    MISSING = None
except ImportError as error:
    MISSING = str(error)

READ_SPEC = {
    "region": {"type": "str", "required": True},
    "endpoint_url": {"type": "str"},
    "names": {"type": "dict", "required": True},
    "wait_seconds": {"type": "int", "default": 0},
}
"""The arguments of a module that reads values by their names."""

POLL_SECONDS = 5


def read_all(module, read, what, absent, missing):
    """The values that the module's ``names`` lead to, under the same keys.

    ``read`` takes a name and returns a text. AWS's code ``absent`` means not yet; all names share ``wait_seconds``.
    """
    deadline = time.monotonic() + module.params["wait_seconds"]
    return {
        key: _read(module, read, name, deadline, what, absent, missing) for key, name in module.params["names"].items()
    }


def _read(module, read, name, deadline, what, absent, missing):
    while True:
        try:
            return parsed(read(name))
        except errors() as error:
            if code(error) != absent:
                module.fail_json(msg=f"The {what} {name} cannot be read: {error}")
            if time.monotonic() >= deadline:
                module.fail_json(msg=f"The {what} {name} {missing}: run the deploy of this environment again.")
        time.sleep(POLL_SECONDS)


def client(module, service):
    """A client of the service in the module's region; fails the module where boto3 is missing."""
    if MISSING is not None:
        module.fail_json(msg=f"boto3 is missing ({MISSING}): install the package python3-boto3.")
    # boto3 before 1.28 does not read AWS_ENDPOINT_URL itself
    endpoint = module.params["endpoint_url"] or os.environ.get("AWS_ENDPOINT_URL")
    # many instances may boot at once; what the environment says by botocore's own name wins
    attempts = int(os.environ.get("AWS_MAX_ATTEMPTS", "10"))
    config = Config(retries={"max_attempts": attempts, "mode": "standard"})
    return boto3.client(service, region_name=module.params["region"], endpoint_url=endpoint, config=config)


def errors():
    """What boto3 raises: refusals by AWS, no credentials, no way there."""
    return (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError)


def code(error):
    """AWS's code of a refusal, or an empty string."""
    return getattr(error, "response", {}).get("Error", {}).get("Code", "")


def parsed(text):
    """The value of a JSON object or array; anything else as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (dict, list)) else text
