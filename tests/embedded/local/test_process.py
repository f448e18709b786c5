"""The background process of the embedded AWS: start, find, stop, and error messages."""

from __future__ import annotations

import errno
import http.server
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import psutil
import pytest

from ollama_gpu.core.errors import UserError
from ollama_gpu.environment import embedded_aws
from ollama_gpu.environment.embedded_aws import EmbeddedAws, environment_variables


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedAws]:
    aws = EmbeddedAws(tmp_path / "aws")
    yield aws
    aws.stop()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """The port of another web server, which returns 200 for every request."""

    class Anything(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Anything)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_server_starts_is_found_and_stops(embedded: EmbeddedAws) -> None:
    assert embedded.running() is None
    started = embedded.start(free_port())
    assert started.url == f"http://127.0.0.1:{started.port}"
    assert EmbeddedAws(embedded.folder).running() == started
    assert embedded.start() == started
    assert psutil.Process(started.pid).name()
    assert os.getsid(started.pid) != os.getsid(0)  # Ctrl-C in the driver must not reach it
    assert embedded.stop() is True
    assert not psutil.pid_exists(started.pid)
    assert embedded.running() is None
    assert embedded.stop() is False


def test_concurrent_starts_start_one_server(embedded: EmbeddedAws) -> None:
    with ThreadPoolExecutor() as pool:
        starts = [pool.submit(EmbeddedAws(embedded.folder).start) for _ in range(2)]
        first, second = (start.result() for start in starts)
    assert first == second


def test_requested_port_in_use_is_error_with_process(embedded: EmbeddedAws, taken_port: int) -> None:
    with pytest.raises(UserError) as caught:
        embedded.start(taken_port)
    assert f"Port {taken_port} is in use" in caught.value.message
    assert f"pid {os.getpid()}" in caught.value.message
    assert caught.value.remedy


def test_free_port_is_chosen_if_preferred_port_is_in_use(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_aws, "PREFERRED_PORT", taken_port)
    with embedded_aws.listen(None) as listener:
        assert listener.getsockname()[1] != taken_port


def test_other_web_server_is_not_the_embedded_aws(taken_port: int) -> None:
    assert embedded_aws.answers(taken_port) is None


def test_start_on_second_port_is_error(embedded: EmbeddedAws) -> None:
    started = embedded.start(free_port())
    with pytest.raises(UserError, match=f"already runs on port {started.port}"):
        embedded.start(free_port())


def test_crash_at_start_is_error_with_end_of_log(embedded: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_AMIS_PATH", "/nowhere/amis.json")  # moto reads it at import and fails
    with pytest.raises(UserError, match=r"FileNotFoundError.*amis\.json"):
        embedded.start()
    assert embedded.running() is None


def test_unwritable_folder_is_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        EmbeddedAws(tmp_path / "file" / "aws").start()


def test_full_disk_is_error(embedded: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UserError, match="No space left") as caught:
        embedded.start()
    assert "disk space" in caught.value.remedy


def test_environment_variables_point_only_to_embedded_aws(embedded: EmbeddedAws) -> None:
    inherited = {
        "AWS_PROFILE": "mine",
        "AWS_SESSION_TOKEN": "t",
        "AWS_CA_BUNDLE": "/x",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere.test",
        "NO_PROXY": "internal.test",
        "PATH": "/bin",
    }
    endpoint = embedded_aws.Endpoint(port=5700, pid=1)
    variables = environment_variables(endpoint, "eu-central-1", inherited)
    gone = {name for name, value in variables.items() if value is None}
    assert gone == {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_S3"}
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5700"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert variables["NO_PROXY"] == "127.0.0.1,internal.test"
    assert "PATH" not in variables


def test_boto3_works_with_only_environment_variables(embedded: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    endpoint = embedded.start()  # the server ignores the user's profile
    for name, value in environment_variables(endpoint, "us-east-1").items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    assert boto3.session.Session().client("sts").get_caller_identity()["Account"] == "123456789012"
