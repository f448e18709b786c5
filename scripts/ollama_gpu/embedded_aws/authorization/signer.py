"""Who signed a request, and for which service: read from its header or, if presigned, from its address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

_SCOPE = re.compile(r"(?P<access_key>[^/=\s]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_VERSION_2 = re.compile(r"AWS ([^:\s]+):")


@dataclass(frozen=True)
class Signer:
    """An access key id, and the region and the service (by its signing name) that it signed for."""

    access_key: str
    region: str
    service: str


def signer_of(environ: WSGIEnvironment) -> Signer | None:
    """The signer by version 4, or by version 2, with which boto3 presigns for S3; None if nobody signed."""
    header = environ.get("HTTP_AUTHORIZATION", "")
    if header:
        version_2 = _VERSION_2.match(header)
        return _of_s3(version_2[1]) if version_2 else _scoped(header)
    query = parse_qs(environ.get("QUERY_STRING", ""))
    if "X-Amz-Credential" in query:
        return _scoped(query["X-Amz-Credential"][0])
    if "AWSAccessKeyId" in query:
        return _of_s3(query["AWSAccessKeyId"][0])
    return None


def _scoped(text: str) -> Signer | None:
    found = _SCOPE.search(text)
    return Signer(**found.groupdict()) if found else None


def _of_s3(access_key: str) -> Signer:
    # version 2 names neither region nor service; only S3 still takes it, and its ARNs name no region
    return Signer(access_key, "us-east-1", "s3")
