"""A refusal in the form that the SDKs read: each protocol has its own codes, statuses and wrapping."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from wsgiref.types import StartResponse, WSGIEnvironment
from xml.sax.saxutils import escape

from .policies import Need


@dataclass(frozen=True)
class Refusal:
    """A status (HTTP), a code and a message of AWS, for a wire protocol by botocore's name."""

    status: str
    code: str
    message: str
    protocol: str

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """The whole answer; S3 answers HEAD without a body, and the SDKs make do with its status."""
        body, content_type = _wrapped(self)
        start_response(self.status, [("Content-Type", content_type), ("x-amzn-errortype", self.code)])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body.encode()]


def denied(who: str, need: Need, why: str, protocol: str) -> Refusal:
    """An access denied: who may not do what to which resource, and why not."""
    quote = '"' if need.action.startswith("s3:") else ""
    where = "" if need.resource == "*" else f" on resource: {quote}{need.resource}{quote}"
    message = f"User: {who} is not authorized to perform: {need.action}{where} {why}"
    if protocol == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
    return Refusal(*_DENIED[protocol], message, protocol)


def expired(protocol: str) -> Refusal:
    """The session is over: nothing that it asks for is looked at."""
    return Refusal(*_EXPIRED[protocol], protocol)


_DENIED = {
    "ec2": ("403 Forbidden", "UnauthorizedOperation"),
    "json": ("400 Bad Request", "AccessDeniedException"),
    "query": ("403 Forbidden", "AccessDenied"),
    "rest-json": ("403 Forbidden", "AccessDeniedException"),
    "rest-xml": ("403 Forbidden", "AccessDenied"),
}
_IS_OVER = "The security token included in the request is expired"
_EXPIRED = {
    "ec2": ("400 Bad Request", "RequestExpired", "Request has expired."),
    "json": ("400 Bad Request", "ExpiredTokenException", _IS_OVER),
    "query": ("403 Forbidden", "ExpiredToken", _IS_OVER),
    "rest-json": ("403 Forbidden", "ExpiredTokenException", _IS_OVER),
    "rest-xml": ("400 Bad Request", "ExpiredToken", "The provided token has expired."),
}


def _wrapped(refusal: Refusal) -> tuple[str, str]:
    """The body and its content type."""
    request = uuid.uuid4()
    error = f"<Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message>"
    match refusal.protocol:
        case "ec2":
            inner = f"<Errors><Error>{error}</Error></Errors><RequestID>{request}</RequestID>"
            return f"<Response>{inner}</Response>", "text/xml"
        case "query":
            inner = f"<Error><Type>Sender</Type>{error}</Error><RequestId>{request}</RequestId>"
            return f"<ErrorResponse>{inner}</ErrorResponse>", "text/xml"
        case "rest-xml":
            return f"<Error>{error}<RequestId>{request}</RequestId></Error>", "application/xml"
    said = {"__type": refusal.code, "message": refusal.message}
    return json.dumps(said), "application/json" if refusal.protocol == "rest-json" else "application/x-amz-json-1.1"
