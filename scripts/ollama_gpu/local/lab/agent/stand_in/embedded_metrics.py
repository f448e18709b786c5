"""The agent's port for the embedded metric format: a received document goes to the log group that it names.

As the agent does (exporter awscloudwatchlogs of its OpenTelemetry collector, with emf_only), this module forwards
documents unchanged and drops those without a log group. CloudWatch extracts the metrics from the log events.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable

from .configuration import Destination
from .outbox import Event

DATAGRAM_BYTES = 65535
LINE_BYTES = 1024 * 1024

Take = Callable[[Event], None]


def event(line: str, stream: str) -> Event | None:
    """Return the log event for a line, in ``stream`` unless the line names one; None if it is no such document."""
    try:
        document = json.loads(line)
        named = document.get("_aws") or {}
        group, own = named.get("LogGroupName"), named.get("LogStreamName")
        if not group:  # the format's first version
            group, own = document.get("log_group_name"), document.get("log_stream_name")
    except (ValueError, AttributeError):
        return None
    if not isinstance(group, str) or not group:
        return None
    return Event(Destination(group, str(own or stream)), int(time.time() * 1000), line)


def listen_udp(address: tuple[str, int], stream: str, take: Take) -> tuple[str, int]:
    """Receive datagrams in a background thread; return the address. Raises OSError when it is in use."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(address)

    def receive() -> None:
        while True:
            _take(receiver.recv(DATAGRAM_BYTES), stream, take)

    threading.Thread(target=receive, name="udp", daemon=True).start()
    bound: tuple[str, int] = receiver.getsockname()
    return bound


def listen_tcp(address: tuple[str, int], stream: str, take: Take) -> tuple[str, int]:
    """Receive lines from connections in background threads; return the address. Raises OSError when it is in use."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline(LINE_BYTES):
                _take(line, stream, take)

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = True
        daemon_threads = True

    server = Server(address, Handler)
    threading.Thread(target=server.serve_forever, name="tcp", daemon=True).start()
    host, port = server.server_address[:2]
    return str(host), int(port)


def _take(received: bytes, stream: str, take: Take) -> None:
    for line in received.decode(errors="replace").splitlines():
        if (found := event(line, stream)) is not None:
            take(found)
