"""The lab's word to the embedded AWS: that a world stands behind its records, how targets are found, what is copied."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from ollama_gpu.embedded_aws.control import BACKUP_JOBS_PATH, TARGET_HEALTH_PATH, WORLD_PATH
from ollama_gpu.errors import UserError

_SECONDS = 10.0


def say_world(endpoint: str, present: bool) -> None:
    """From now on instances answer their own lifecycle hooks and targets wait for a probe; or, False, nobody does."""
    _put(endpoint, WORLD_PATH, {"present": present})


def say_target_health(endpoint: str, targets: Sequence[dict[str, Any]]) -> None:
    """How the load balancer finds its targets: mappings as `embedded_aws.control` takes them."""
    if targets:
        _put(endpoint, TARGET_HEALTH_PATH, list(targets))


def say_backup_job(endpoint: str, job: str, succeeded: bool, message: str, size: int) -> None:
    """How the copy of a database went that a job of AWS Backup waits for; ``size`` in bytes."""
    said = {"job": job, "succeeded": succeeded, "message": message, "bytes": size}
    _put(endpoint, BACKUP_JOBS_PATH, [said])


def _put(endpoint: str, path: str, said: Any) -> None:
    address = urlsplit(endpoint)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)
    try:
        connection.request("PUT", path, json.dumps(said), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read(4096).decode("utf-8", "replace").strip()
    except (OSError, HTTPException) as error:
        raise UserError(
            f"The embedded AWS at {endpoint} does not answer: {error}.", "Start it: make deploy ENV=local"
        ) from error
    finally:
        connection.close()
    if answer.status != 204:
        raise UserError(
            f"The embedded AWS refused {path}: {text or answer.status}.",
            "It is of another version: make local-down, then make deploy ENV=local.",
        )
