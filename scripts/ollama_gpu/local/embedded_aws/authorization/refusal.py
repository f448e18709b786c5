"""Error responses for denied requests, in the codes, statuses and formats of each wire protocol."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from wsgiref.types import StartResponse, WSGIEnvironment
from xml.sax.saxutils import escape

from .policies import Permission


@dataclass(frozen=True)
class Refusal:
    """HTTP status, error code and message of AWS, and botocore's name of the wire protocol."""

    status: str
    code: str
    message: str
    protocol: str

    def answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Send the response. HEAD of S3 has no body, and the SDKs then use its status."""
        body, content_type = _wrapped(self)
        start_response(self.status, [("Content-Type", content_type), ("x-amzn-errortype", self.code)])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body.encode()]


def denied(caller: str, permission: Permission, reason: str, protocol: str) -> Refusal:
    """Return an access denied error with AWS's message. ``reason`` is the end of the message."""
    quote = '"' if permission.action.startswith("s3:") else ""
    where = "" if permission.resource == "*" else f" on resource: {quote}{permission.resource}{quote}"
    message = f"User: {caller} is not authorized to perform: {permission.action}{where} {reason}"
    if protocol == "ec2":
        message = f"You are not authorized to perform this operation. {message}"
    return Refusal(*_DENIED[protocol], message, protocol)


def expired(protocol: str) -> Refusal:
    """Return the error for an expired session."""
    return Refusal(*_EXPIRED[protocol], protocol)


_DENIED = {
    "ec2": ("403 Forbidden", "UnauthorizedOperation"),
    "json": ("400 Bad Request", "AccessDeniedException"),
    "query": ("403 Forbidden", "AccessDenied"),
    "rest-json": ("403 Forbidden", "AccessDeniedException"),
    "rest-xml": ("403 Forbidden", "AccessDenied"),
}
_EXPIRED_MESSAGE = "The security token included in the request is expired"
_EXPIRED = {
    "ec2": ("400 Bad Request", "RequestExpired", "Request has expired."),
    "json": ("400 Bad Request", "ExpiredTokenException", _EXPIRED_MESSAGE),
    "query": ("403 Forbidden", "ExpiredToken", _EXPIRED_MESSAGE),
    "rest-json": ("403 Forbidden", "ExpiredTokenException", _EXPIRED_MESSAGE),
    "rest-xml": ("400 Bad Request", "ExpiredToken", "The provided token has expired."),
}


def _wrapped(refusal: Refusal) -> tuple[str, str]:
    """Return the body and its content type."""
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
    content = {"__type": refusal.code, "message": refusal.message}
    return json.dumps(content), "application/json" if refusal.protocol == "rest-json" else "application/x-amz-json-1.1"
