"""The WSGI application: moto with every completion, one request at a time, and a health page that names
us."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from . import identity
from .exclusion import backends_lock

Wsgi = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


def configure_moto() -> None:
    """Set what moto reads from the environment when it is first imported."""
    os.environ.update(
        MOTO_IAM_LOAD_MANAGED_POLICIES="true",  # the fabric attaches AWS-managed policies by their ARN
        MOTO_ACM_VALIDATION_WAIT="1",  # seconds until a requested certificate is issued
    )


def build(region: str) -> Wsgi:
    """The complete application with the account of ``region`` populated. Imports moto: takes seconds."""
    configure_moto()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    from . import account, autoscaling
    from .completions import apply_all
    from .completions.failures import FailFast

    apply_all()
    autoscaling.apply()
    account.populate(region)
    return HealthPage(FailFast(TakingTurns(DomainDispatcherApplication(create_backend_app))))


class TakingTurns:
    """Lets one request at a time reach the backends; a long poll must not hold up the others."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "/sqs/" in environ.get("HTTP_AUTHORIZATION", ""):  # ReceiveMessage waits up to 20 s for a message
            return self._application(environ, start_response)
        with backends_lock:
            return [b"".join(self._application(environ, start_response))]


class HealthPage:
    """Answers the health path itself: whoever asks learns that it is this server, and which process."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self._body = json.dumps(
            {"service": identity.SERVICE, "version": identity.version(), "pid": os.getpid()}
        ).encode()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != identity.HEALTH_PATH:
            return self._application(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [self._body]
