"""The way from the lab's network to the embedded AWS carries bytes both ways, to the end of each."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from ollama_gpu.errors import UserError
from ollama_gpu.lab.forward import Forward


class _Shouting(socketserver.BaseRequestHandler):
    """Answers, once the client has said all, with the same in capitals."""

    def handle(self) -> None:
        heard = b""
        while block := self.request.recv(4096):
            heard += block
        self.request.sendall(heard.upper())


@pytest.fixture
def target() -> Iterator[tuple[str, int]]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Shouting) as server:
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


def test_what_goes_in_comes_out_and_back(target: tuple[str, int]) -> None:
    port = free_port()
    with Forward(("127.0.0.1", port), target):
        assert ask(port, b"hello") == b"HELLO"
        large = b"x" * 1_000_000
        assert ask(port, large) == large.upper()


def test_it_listens_no_longer_when_it_has_ended(target: tuple[str, int]) -> None:
    port = free_port()
    with Forward(("127.0.0.1", port), target):
        pass
    with pytest.raises(OSError, match="refused"):
        ask(port, b"hello")


def test_a_target_that_is_not_there_ends_the_connection() -> None:
    port = free_port()
    with Forward(("127.0.0.1", port), ("127.0.0.1", free_port())):
        assert ask(port, b"hello") == b""


def test_a_taken_address_is_said(target: tuple[str, int]) -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1"), Forward(target, target):
        pass
