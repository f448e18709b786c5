"""The forward from the lab's network to the embedded AWS: both directions, to the end of each."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab.forward import Forward


class _Upper(socketserver.BaseRequestHandler):
    """Returns the client's whole input in upper case."""

    def handle(self) -> None:
        heard = b""
        while block := self.request.recv(4096):
            heard += block
        self.request.sendall(heard.upper())


@pytest.fixture
def target() -> Iterator[tuple[str, int]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Upper) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield ("127.0.0.1", server.server_address[1])
        server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def ask(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        heard = b""
        while block := connection.recv(65536):
            heard += block
        return heard


def test_bytes_are_forwarded_both_ways(target: tuple[str, int]) -> None:
    port = free_port()
    with Forward(("127.0.0.1", port), target):
        assert ask(port, b"hello") == b"HELLO"
        large = b"x" * 1_000_000
        assert ask(port, large) == large.upper()


def test_stops_listening_at_its_end(target: tuple[str, int]) -> None:
    port = free_port()
    with Forward(("127.0.0.1", port), target):
        pass
    with pytest.raises(OSError, match="refused"):
        ask(port, b"hello")


def test_missing_target_ends_the_connection() -> None:
    port = free_port()
    with socket.socket() as reserved:  # bound but not listening: every connection is refused
        reserved.bind(("127.0.0.1", 0))
        with Forward(("127.0.0.1", port), reserved.getsockname()):
            assert ask(port, b"hello") == b""


def test_address_in_use_is_reported(target: tuple[str, int]) -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1"), Forward(target, target):
        pass
