"""The WSGI layer that refuses what a role may not and passes everything else on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from ollama_gpu.embedded_aws.exclusion import backends_lock

from . import refusal
from .needs import Place, needs_of
from .operation import operation_of, protocol_of
from .policies import why_refused
from .refusal import Refusal
from .roles import is_expired, is_temporary, policies_of, session_of
from .signer import Signer, signer_of

log = logging.getLogger(__name__)


class Authorization:
    """Judges what the credentials of assumed roles sign, before ``application`` (moto) sees it."""

    def __init__(self, application: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        signer = signer_of(environ)
        if signer is None or not is_temporary(signer):
            return self._application(environ, start_response)
        with backends_lock:  # a long poll comes without it
            refused = _judged(environ, signer)
        if refused is None:
            return self._application(environ, start_response)
        log.info("refused %s: %s", refused.code, refused.message)
        return refused.answer(environ, start_response)  # werkzeug reads what the client still sends


def _judged(environ: WSGIEnvironment, signer: Signer) -> Refusal | None:
    """The refusal of a request, None if no role's session has signed it or if the role may."""
    session = session_of(signer)
    if session is None:
        return None
    protocol = protocol_of(environ, signer.service)
    if is_expired(session):
        return refusal.expired(protocol)
    policies = policies_of(session)
    place = Place(session.partition, signer.region, session.account_id)
    for need in needs_of(operation_of(environ, signer.service), place):
        if why := why_refused(policies, need):
            return refusal.denied(session.arn, need, why, protocol)
    return None
