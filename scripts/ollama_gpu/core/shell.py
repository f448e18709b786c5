"""Detect a shell that still has the exports of `make env ENV=local`, which point at the embedded AWS."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

REMEDY = "Run `unset AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY` and sign in to AWS."

_LOCAL = ("127.0.0.1", "localhost", "::1")


def local_endpoint(variables: Mapping[str, str]) -> str:
    """AWS_ENDPOINT_URL if it points at this machine, else an empty string."""
    address = variables.get("AWS_ENDPOINT_URL", "")
    return address if urlsplit(address).hostname in _LOCAL else ""
