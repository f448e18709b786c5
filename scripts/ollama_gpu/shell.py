"""A shell that still has the exports of `make env ENV=local`, and would send a real environment to the embedded AWS."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

REMEDY = "Run `unset AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY` and sign in to AWS."

_LOCAL = ("127.0.0.1", "localhost", "::1")


def local_endpoint(variables: Mapping[str, str]) -> str:
    """AWS_ENDPOINT_URL where it points at this machine; empty otherwise."""
    address = variables.get("AWS_ENDPOINT_URL", "")
    return address if urlsplit(address).hostname in _LOCAL else ""
