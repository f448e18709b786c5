"""Read who signed a request, and for which service, from its header or its presigned URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

_SCOPE = re.compile(r"(?P<access_key>[^/=\s]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_VERSION_2 = re.compile(r"AWS ([^:\s]+):")


@dataclass(frozen=True)
class Signer:
    """An access key id with the region and signing name of the service that it signed for."""

    access_key: str
    region: str
    service: str


def signer_of(environ: WSGIEnvironment) -> Signer | None:
    """Return the signer by signature version 4, or 2, which boto3 uses to presign for S3. None if unsigned."""
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
    # version 2 has neither region nor service: only S3 still accepts it, and its ARNs have no region
    return Signer(access_key, "us-east-1", "s3")
