# Copyright: The ollama-gpu maintainers
# Apache License 2.0 (see https://www.apache.org/licenses/LICENSE-2.0)
"""AWS access for modules that run on an instance with its role."""

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
"""The arguments of a module that reads values by name."""

POLL_SECONDS = 5


def read_all(module, read, what, absent, missing):
    """Return the values of the module's ``names`` under the same keys.

    ``read`` takes a name and returns a text. After AWS's error code ``absent`` it is retried. All names share
    ``wait_seconds``.
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
    """Return a client of the service in the module's region. Fails the module if boto3 is missing."""
    if MISSING is not None:
        module.fail_json(msg=f"boto3 is missing ({MISSING}): install the package python3-boto3.")
    # boto3 before 1.28 does not read AWS_ENDPOINT_URL itself
    endpoint = module.params["endpoint_url"] or os.environ.get("AWS_ENDPOINT_URL")
    # many instances can boot at once; botocore's own environment variable has priority
    attempts = int(os.environ.get("AWS_MAX_ATTEMPTS", "10"))
    config = Config(retries={"max_attempts": attempts, "mode": "standard"})
    return boto3.client(service, region_name=module.params["region"], endpoint_url=endpoint, config=config)


def errors():
    """Return boto3's exceptions: errors from AWS, missing credentials, no connection."""
    return (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError)


def code(error):
    """Return AWS's error code, or an empty string."""
    return getattr(error, "response", {}).get("Error", {}).get("Code", "")


def parsed(text):
    """Parse a JSON object or array. Return any other text unchanged."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (dict, list)) else text
