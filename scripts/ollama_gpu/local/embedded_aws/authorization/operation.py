"""Determine service, operation and parameters of a request with moto's router and parser."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from wsgiref.types import WSGIEnvironment

from botocore.exceptions import UnknownServiceError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

# botocore's name of a service by its signing name, where they differ
_SERVICES = {
    "elasticfilesystem": "efs",
    "elasticloadbalancing": "elbv2",
    "email": "ses",
    "monitoring": "cloudwatch",
    "states": "stepfunctions",
    "tagging": "resourcegroupstaggingapi",
}


@dataclass(frozen=True)
class Operation:
    """An API operation by its name in botocore. ``service`` is the prefix of its IAM actions."""

    service: str
    name: str
    parameters: Mapping[str, Any]
    headers: Mapping[str, str]


def protocol_of(environ: WSGIEnvironment, signing_name: str) -> str:
    """Return botocore's name of the wire protocol ("json", "query", "ec2", "rest-json", "rest-xml").

    Raises NotImplementedError for a service or protocol that moto does not support.
    """
    try:
        model = get_service_model(_SERVICES.get(signing_name, signing_name))
    except UnknownServiceError as error:
        raise NotImplementedError(f"permissions of the service with the signing name {signing_name}") from error
    protocol = str(determine_request_protocol(model, environ.get("CONTENT_TYPE")))
    if protocol not in PROTOCOL_PARSERS:
        raise NotImplementedError(f"permissions of a request in the protocol {protocol}")
    return protocol


def operation_of(environ: WSGIEnvironment, signing_name: str) -> Operation:
    """Read the operation and leave the request readable. The body of an upload to S3 is not read.

    Raises NotImplementedError if moto's router finds no operation.
    """
    protocol = protocol_of(environ, signing_name)
    is_object = signing_name == "s3" and environ["REQUEST_METHOD"] == "PUT"
    request = _request(environ, b"" if is_object else _body(environ))
    try:
        model, path_parameters = get_service_router(_SERVICES.get(signing_name, signing_name)).match(request)
    except NotFound as error:
        target = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} of {signing_name}"
        raise NotImplementedError(f"permissions of a request without a known operation: {target}") from error
    parameters = path_parameters if is_object else _parsed(protocol, model, request, path_parameters)
    service = "cloudwatch" if signing_name == "monitoring" else signing_name
    return Operation(service, str(model.name), parameters, request.headers)


def _body(environ: WSGIEnvironment) -> bytes:
    body: bytes = Request(environ, populate_request=False).get_data()
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.update({"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))})
    return gzip.decompress(body) if environ.get("HTTP_CONTENT_ENCODING") == "gzip" else body


def _request(environ: WSGIEnvironment, body: bytes) -> Any:
    copied = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    return Request(copied, populate_request=False)


def _parsed(protocol: str, model: Any, request: Any, path_parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    body = request.get_data()  # before values, which consumes the body of a form
    parsed = PROTOCOL_PARSERS[protocol](model, map_type=dict).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": path_parameters,
        }
    )
    return {**path_parameters, **parsed}
