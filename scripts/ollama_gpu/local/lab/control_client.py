"""The lab's client of the embedded AWS's control paths: lab present or not, target health, database backups."""

from __future__ import annotations

import json
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.embedded_aws.control import BACKUP_JOBS_PATH, LAB_PATH, TARGET_HEALTH_PATH

_SECONDS = 10.0


def set_lab_present(endpoint: str, present: bool) -> None:
    """Tell the embedded AWS whether a lab is present.

    With a lab, instances complete their own lifecycle hooks and targets wait for a health report. Without one, the
    embedded AWS does both itself.
    """
    _put(endpoint, LAB_PATH, {"present": present})


def report_target_health(endpoint: str, targets: Sequence[dict[str, Any]]) -> None:
    """Report the health of targets, as mappings that `embedded_aws.control` accepts."""
    if targets:
        _put(endpoint, TARGET_HEALTH_PATH, list(targets))


def report_backup_job(endpoint: str, job: str, succeeded: bool, message: str, size: int) -> None:
    """Report the result of the database copy that a job of AWS Backup waits for; ``size`` in bytes."""
    result = {"job": job, "succeeded": succeeded, "message": message, "bytes": size}
    _put(endpoint, BACKUP_JOBS_PATH, [result])


def _put(endpoint: str, path: str, body: Any) -> None:
    address = urlsplit(endpoint)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=_SECONDS)
    try:
        connection.request("PUT", path, json.dumps(body), {"Content-Type": "application/json"})
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
            "It has another version. Run make local-down, then make deploy ENV=local.",
        )
