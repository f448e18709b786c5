"""The WSGI layer that denies what a role is not allowed to do and passes every other request on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from ollama_gpu.local.embedded_aws.lock import backends_lock

from . import refusal
from .operation import operation_of, protocol_of
from .policies import why_denied
from .refusal import Refusal
from .required_permissions import Place, required_permissions
from .roles import is_expired, is_temporary, policies_of, session_of
from .signer import Signer, signer_of

log = logging.getLogger(__name__)


class Authorization:
    """Checks the requests of assumed roles before ``application`` (moto) handles them."""

    def __init__(self, application: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        signer = signer_of(environ)
        if signer is None or not is_temporary(signer):
            return self._application(environ, start_response)
        with backends_lock:  # a long poll arrives without the lock
            refused = _refusal(environ, signer)
        if refused is None:
            return self._application(environ, start_response)
        log.info("denied with %s: %s", refused.code, refused.message)
        return refused.answer(environ, start_response)  # werkzeug reads the rest of the request body


def _refusal(environ: WSGIEnvironment, signer: Signer) -> Refusal | None:
    """Return the refusal of a request, or None if the role allows it or no role's session signed it."""
    session = session_of(signer)
    if session is None:
        return None
    protocol = protocol_of(environ, signer.service)
    if is_expired(session):
        return refusal.expired(protocol)
    policies = policies_of(session)
    place = Place(session.partition, signer.region, session.account_id)
    for permission in required_permissions(operation_of(environ, signer.service), place):
        if reason := why_denied(policies, permission):
            return refusal.denied(session.arn, permission, reason, protocol)
    return None
