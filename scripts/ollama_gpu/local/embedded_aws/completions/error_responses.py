"""Return 400 with a code and a message for exceptions and unknown operations, and log the traceback.

moto responds with 500, which the AWS provider retries up to 25 times. Errors that moto raises as AWS errors are not
changed.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment
from xml.sax.saxutils import escape

log = logging.getLogger(__name__)

NOT_IMPLEMENTED = "EmbeddedAwsNotImplemented"
FAILURE = "EmbeddedAwsFailure"

_CREDENTIAL_SCOPE = re.compile(r"Credential=[^/]*/\d+/[^/]*/([^/]+)/aws4_request")


class FailFast:
    """WSGI layer that converts responses with status 500, and moto's HTML page for an unknown path, to a 400."""

    def __init__(self, application: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        started: list[Any] = []

        def remember(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            started[:] = [status, headers, exc_info]
            return lambda _data: None

        try:
            body = b"".join(self._application(environ, remember))
        except Exception as error:
            log.exception(_request(environ))
            return _answer(environ, start_response, *_described(error))
        status, headers, exc_info = started
        if status.startswith("404") and body[:15].lower() == b"<!doctype html>":
            unknown = NotImplementedError(_request(environ))
            return _answer(environ, start_response, *_described(unknown))
        if status.startswith("500"):
            log.error("%s returned 500: %s", _request(environ), body[:500])
            failure = RuntimeError(body[:300].decode(errors="replace"))
            return _answer(environ, start_response, *_described(failure))
        start_response(status, headers, exc_info)
        return [body]


def _described(error: Exception) -> tuple[str, str]:
    """Return the code and message for an exception."""
    if isinstance(error, NotImplementedError):
        return NOT_IMPLEMENTED, f"The embedded AWS does not support this: {error}"
    cause = f"{type(error).__name__}: {str(error)[:300]}"
    return FAILURE, f"The embedded AWS failed: {cause} (the traceback is in its server.log)"


def _request(environ: WSGIEnvironment) -> str:
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    return f"{_service(environ)} {environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')} {target}".strip()


def _service(environ: WSGIEnvironment) -> str:
    found = _CREDENTIAL_SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else "unsigned"


def _answer(environ: WSGIEnvironment, start_response: StartResponse, code: str, message: str) -> list[bytes]:
    """Send the error in the format that the SDKs expect from the service."""
    service = _service(environ)
    error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    if service == "ec2":
        body, content_type = f"<Response><Errors><Error>{error}</Error></Errors></Response>", "text/xml"
    elif service == "s3":
        body, content_type = f"<Error>{error}</Error>", "text/xml"
    elif form or service == "route53":
        body, content_type = f"<ErrorResponse><Error>{error}</Error></ErrorResponse>", "text/xml"
    else:
        body, content_type = json.dumps({"__type": code, "message": message}), "application/json"
    start_response("400 Bad Request", [("Content-Type", content_type), ("x-amzn-errortype", code)])
    return [body.encode()]
