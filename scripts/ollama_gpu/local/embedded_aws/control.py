"""The control pages, through which the lab reports to the embedded AWS.

* ``PUT /ollama-gpu/lab/presence``: ``{"present": true}`` while the lab's containers run behind the records.
* ``PUT /ollama-gpu/lab/target-health``: a list of ``{"target_group_arn", "instance_id", "state", "reason"}``,
  the results of health checks.
* ``PUT /ollama-gpu/lab/backup-jobs``: a list of ``{"job", "succeeded", "message", "bytes"}``, the finished
  copies of databases.

Each responds with 204, or with 400 and a message.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from .lock import backends_lock

Wsgi = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]

LAB_PATH = "/ollama-gpu/lab/presence"
TARGET_HEALTH_PATH = "/ollama-gpu/lab/target-health"
BACKUP_JOBS_PATH = "/ollama-gpu/lab/backup-jobs"


class ControlPages:
    """Answers the lab's paths and passes every other request on. ``account`` and ``region`` are those of the lab."""

    def __init__(self, application: Wsgi, account: str, region: str) -> None:
        self._application = application
        self._account = account
        self._region = region
        self._pages = {
            LAB_PATH: self._presence,
            TARGET_HEALTH_PATH: self._target_health,
            BACKUP_JOBS_PATH: self._backup_jobs,
        }

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        page = self._pages.get(environ.get("PATH_INFO", ""))
        if page is None:
            return self._application(environ, start_response)
        if environ["REQUEST_METHOD"] != "PUT":
            start_response("405 Method Not Allowed", [("Allow", "PUT")])
            return [b""]
        try:
            content = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
            with backends_lock:
                page(content)
        except (ValueError, LookupError, TypeError) as error:
            start_response("400 Bad Request", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"{type(error).__name__}: {error}\n".encode()]
        start_response("204 No Content", [])
        return [b""]

    def _presence(self, content: Any) -> None:
        from . import autoscaling
        from .completions import backup_jobs

        present = bool(content["present"])
        autoscaling.answer_lifecycle_actions(not present)
        autoscaling.start_targets_healthy(not present)
        backup_jobs.wait_for_lab(present)
        if not present:
            autoscaling.forget_target_health(self._account, self._region)

    def _backup_jobs(self, content: Any) -> None:
        from .completions import backup_jobs

        for each in content:
            succeeded, message, size = bool(each["succeeded"]), str(each["message"]), int(each["bytes"])
            backup_jobs.finish(self._account, self._region, each["job"], succeeded, message, size)

    def _target_health(self, content: Any) -> None:
        from .autoscaling import targets
        from .autoscaling.region import find_region

        region = find_region(self._account, self._region)
        for target in content:
            arn, instance_id = target["target_group_arn"], target["instance_id"]
            if target["state"] not in targets.STATES:
                raise ValueError(f"{target['state']} is not a state of a target")
            if targets.state_of(region, arn, instance_id) is None:
                continue  # deregistered since the lab's check
            targets.set_target_health(
                self._account, self._region, arn, instance_id, target["state"], target.get("reason")
            )
