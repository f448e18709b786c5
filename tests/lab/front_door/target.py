"""A target: a small HTTPS server that returns its name, streams, upgrades, and has the health in /state/health."""

from __future__ import annotations

import json
import os
import ssl
import time
from base64 import b64encode
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = os.environ["NAME"]
STATE = Path("/state")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    dropped = 0

    def do_GET(self) -> None:
        if self.path == "/healthz":
            file = STATE / "health"
            self._answer(int(file.read_text()) if file.exists() else 200, "well\n")
        elif self.path == "/stream":
            self._stream(seconds=4.0)
        elif self.path == "/echo":
            self._echo()
        elif self.path == "/dropped":
            self._answer(200, str(Handler.dropped))
        else:
            self._answer(
                200,
                json.dumps({"name": NAME, "headers": {name.lower(): value for name, value in self.headers.items()}}),
            )

    def do_POST(self) -> None:
        """Read the request, then close the connection without a response."""
        self.rfile.read(int(self.headers["Content-Length"]))
        Handler.dropped += 1
        self.close_connection = True

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, seconds: float) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        end = time.monotonic() + seconds
        for text in iter(lambda: f"{NAME}\n" if time.monotonic() < end else "end\n", "end\n"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text.encode()))
            time.sleep(0.1)
        self.wfile.write(b"4\r\nend\n\r\n0\r\n\r\n")

    def _echo(self) -> None:
        """Upgrade the connection and echo bytes, as a WebSocket requires of a load balancer."""
        self.send_response(101)
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.send_header("Connection", "Upgrade")
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_header("Sec-WebSocket-Accept", b64encode(sha1(key.encode(), usedforsecurity=False).digest()).decode())
        self.end_headers()
        while block := self.connection.recv(4096):
            self.connection.sendall(block)
        self.close_connection = True


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(STATE / "server.crt", STATE / "server.key")
server = Server(("", 8443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
