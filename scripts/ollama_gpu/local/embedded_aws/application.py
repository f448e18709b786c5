"""The WSGI application: moto with all completions, one request at a time, plus the health and control pages."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from ollama_gpu.environment.embedded_aws import HEALTH_PATH, SERVICE

from .lock import backends_lock

log = logging.getLogger(__name__)

Wsgi = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


def configure_moto() -> None:
    """Set the environment variables that moto reads at its first import."""
    os.environ.update(
        MOTO_IAM_LOAD_MANAGED_POLICIES="true",  # the fabric attaches AWS managed policies by ARN
        MOTO_ACM_VALIDATION_WAIT="1",  # seconds until a requested certificate is issued
    )


def build(region: str) -> Wsgi:
    """Build the application and populate the account in ``region``. Imports moto, which takes seconds."""
    configure_moto()
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    from . import account, autoscaling
    from .authorization import Authorization
    from .completions import apply_all
    from .completions.error_responses import FailFast
    from .control import ControlPages

    apply_all()
    autoscaling.apply()
    account.populate(region)
    aws = FailFast(OneAtATime(Authorization(DomainDispatcherApplication(create_backend_app))))
    return HealthPage(ControlPages(aws, DEFAULT_ACCOUNT_ID, region))


class ReplayedResponses:
    """Answers an SDK's retry with the response of its first attempt instead of executing the request twice.

    A retry has the invocation id of the first attempt. If that attempt succeeded, only its response was lost: executed
    again, a create would fail with "already exists". Rejected requests are executed again, as on AWS.
    """

    KEPT = 256  # responses of a few KB each; a retry follows within seconds

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, list[tuple[str, str]], bytes]] = OrderedDict()

    def once(self, environ: WSGIEnvironment, start_response: StartResponse, application: Wsgi) -> Iterable[bytes]:
        identifier = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if identifier in self._kept:
            status, headers, body = self._kept[identifier]
            log.info("replaying the response of %s for a retry", identifier)
            # An unread large body makes the server reset the connection on close, which would lose this response too.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(status, headers)
            return [body]
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def record(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            started.append((status, headers))
            return start_response(status, headers, *more)

        body = b"".join(application(environ, record))
        if identifier and started and started[-1][0].startswith("2"):
            self._kept[identifier] = (*started[-1], body)
            if len(self._kept) > self.KEPT:
                self._kept.popitem(last=False)
        return [body]


class OneAtATime:
    """Serializes the requests to moto's backends, except long polls of SQS, which would block the others."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self._responses = ReplayedResponses()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "/sqs/" in environ.get("HTTP_AUTHORIZATION", ""):  # ReceiveMessage waits up to 20 s for a message
            return self._application(environ, start_response)
        with backends_lock:
            return self._responses.once(environ, start_response, self._application)


class HealthPage:
    """Answers the health path with the name, version and process id of this server."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self._body = json.dumps(
            {"service": SERVICE, "version": importlib.metadata.version("ollama-gpu"), "pid": os.getpid()}
        ).encode()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != HEALTH_PATH:
            return self._application(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [self._body]
