"""The module that the host programs share, and the limits that a host's Python sets."""

from __future__ import annotations

import ast
import http.server
import os
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.collection import programs

host: Any = programs.load("common", "ollama_gpu_host")
MODULE = programs.path("common", "ollama_gpu_host")
USERS = {
    "drain": "ollama-gpu-drain",
    "gateway": "ollama-gpu-health",
    "gpu_metrics": "ollama-gpu-metrics",
    "model_set": "ollama-gpu-model-set",
    "model_store": "ollama-gpu-models",
    "ollama": "ollama-gpu-instance",
}
FILES = [MODULE, *(programs.path(role, program) for role, program in USERS.items())]
OLDEST_PYTHON = (3, 9)  # Amazon Linux 2023


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_parses_with_the_oldest_supported_python(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=OLDEST_PYTHON)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_file_imports_only_the_standard_library_and_the_shared_module(file: Path) -> None:
    names: set[str] = set()
    for statement in ast.parse(file.read_text()).body:  # imports inside functions may need boto3
        if isinstance(statement, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            names.add((statement.module or "").partition(".")[0])
    assert names - set(sys.stdlib_module_names) <= {"ollama_gpu_host"}


@pytest.mark.parametrize(("role", "program"), USERS.items())
def test_role_installs_the_module_that_its_program_imports(role: str, program: str) -> None:
    assert "ollama_gpu_host" in programs.path(role, program).read_text()
    assert "tasks_from: host_module" in (programs.ROLES / role / "tasks" / "install.yml").read_text()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Do not log."""


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_http_sends_json_and_ignores_proxies(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert host.http(f"{url}/echo", {"model": "a"}) == b'{"model": "a"}'


def test_http_error_has_status_and_text(url: str) -> None:
    with pytest.raises(host.HttpError, match='status 404: "gone"') as raised:
        host.http(f"{url}/missing", "gone")
    assert (raised.value.status, raised.value.reason, raised.value.text) == (404, "Not Found", '"gone"')


def test_http_without_an_answer_is_an_os_error() -> None:
    with pytest.raises(OSError, match="refused"):
        host.http("http://127.0.0.1:9/", seconds=1)


def test_haproxy_without_a_socket_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        host.haproxy(str(tmp_path / "admin.sock"), "show stat")


def test_haproxy_returns_the_whole_output(tmp_path: Path) -> None:
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(connection.recv(100).upper() * 10_000)

        thread = threading.Thread(target=answer)
        thread.start()
        assert host.haproxy(path, "x") == "\n".join(["X"] * 10_000)
        thread.join()


def test_written_file_is_complete_and_readable_by_all_users(tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        host.write_atomically(tmp_path / "models.json", "{}")
    finally:
        os.umask(mask)
    assert [file.name for file in tmp_path.iterdir()] == ["models.json"]
    assert stat.S_IMODE((tmp_path / "models.json").stat().st_mode) == 0o644


def test_models_served_before_are_known_but_not_served(tmp_path: Path) -> None:
    (tmp_path / "models.json").write_text('{"models": [{"name": "b"}], "formerly": [{"name": "a"}]}')
    assert host.read_models(tmp_path / "models.json") == ([{"name": "b"}], [{"name": "a"}, {"name": "b"}])


@pytest.mark.parametrize(
    ("name", "full"),
    [("gemma3", "gemma3:latest"), ("gemma3:4b", "gemma3:4b"), ("host:5000/a/b", "host:5000/a/b:latest")],
)
def test_full_name_has_the_tag(name: str, full: str) -> None:
    assert host.full_name(name) == full
