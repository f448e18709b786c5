"""The front door's local ports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ollama_gpu.core.errors import UserError

HTTPS_VARIABLE = "OLLAMA_GPU_HTTPS_PORT"
HTTP_VARIABLE = "OLLAMA_GPU_HTTP_PORT"
ADDRESS = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """The local ports for the load balancer's ports 443 and 80."""

    https: int = 8443
    http: int = 8080

    def of(self, listener: int) -> int | None:
        """Return the local port for a listener's port; None if the port is not published."""
        return {443: self.https, 80: self.http}.get(listener)


def ports(environment: Mapping[str, str] | None = None) -> Ports:
    """Return the ports of $OLLAMA_GPU_HTTPS_PORT and $OLLAMA_GPU_HTTP_PORT, by default 8443 and 8080.

    Raises UserError for an invalid port.
    """
    values = os.environ if environment is None else environment
    chosen = Ports(
        _port(HTTPS_VARIABLE, values.get(HTTPS_VARIABLE), Ports.https),
        _port(HTTP_VARIABLE, values.get(HTTP_VARIABLE), Ports.http),
    )
    if chosen.https == chosen.http:
        raise UserError(
            f"{HTTPS_VARIABLE} and {HTTP_VARIABLE} are both {chosen.http}.", "Choose two different ports.", status=2
        )
    return chosen


def _port(variable: str, text: str | None, default: int) -> int:
    if not text:
        return default
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise UserError(f"{variable} is {text!r}, which is not a valid port.", "Use 1 to 65535.", status=2)
    return int(text)
