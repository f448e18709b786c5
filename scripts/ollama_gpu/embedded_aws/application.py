"""The WSGI application: moto with every completion, one request at a time, and a health page that names
us."""

from __future__ import annotations

import json
import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from . import identity
from .exclusion import backends_lock

log = logging.getLogger(__name__)

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
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    from . import account, autoscaling
    from .authorization import Authorization
    from .completions import apply_all
    from .completions.failures import FailFast
    from .control import ControlPages

    apply_all()
    autoscaling.apply()
    account.populate(region)
    aws = FailFast(TakingTurns(Authorization(DomainDispatcherApplication(create_backend_app))))
    return HealthPage(ControlPages(aws, DEFAULT_ACCOUNT_ID, region))


class LostAnswers:
    """Gives an SDK's retry the answer that it missed, instead of doing the work twice.

    A retry carries its first attempt's invocation id. When that attempt succeeded, only its answer was lost on the
    way; done again, a create would fail with "already exists". Refused requests are done again, as AWS does.
    """

    KEPT = 256  # answers, of a few KB each: a retry comes within seconds

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, list[tuple[str, str]], bytes]] = OrderedDict()

    def once(self, environ: WSGIEnvironment, start_response: StartResponse, application: Wsgi) -> Iterable[bytes]:
        identifier = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
        if identifier in self._kept:
            status, headers, body = self._kept[identifier]
            log.info("a retry of %s gets the answer that it missed", identifier)
            # Unread, a large body would make the server's close a reset, and this answer were lost as well.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(status, headers)
            return [body]
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def listening(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            said.append((status, headers))
            return start_response(status, headers, *more)

        body = b"".join(application(environ, listening))
        if identifier and said and said[-1][0].startswith("2"):
            self._kept[identifier] = (*said[-1], body)
            if len(self._kept) > self.KEPT:
                self._kept.popitem(last=False)
        return [body]


class TakingTurns:
    """Lets one request at a time reach the backends; a long poll must not hold up the others."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application
        self._answers = LostAnswers()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "/sqs/" in environ.get("HTTP_AUTHORIZATION", ""):  # ReceiveMessage waits up to 20 s for a message
            return self._application(environ, start_response)
        with backends_lock:
            return self._answers.once(environ, start_response, self._application)


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
