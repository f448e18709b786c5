"""The embedded AWS as a background process: started once, found again, stopped, and clear about what is
wrong."""

from __future__ import annotations

import errno
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import psutil
import pytest

from ollama_gpu.embedded_aws import process
from ollama_gpu.embedded_aws.process import EmbeddedAws, environment_variables
from ollama_gpu.errors import UserError


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[EmbeddedAws]:
    aws = EmbeddedAws(tmp_path / "aws")
    yield aws
    aws.stop()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which another web server, which answers anything with 200, listens."""

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


def test_it_starts_is_found_again_and_stops(embedded: EmbeddedAws) -> None:
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


def test_two_starts_at_once_make_one_server(embedded: EmbeddedAws) -> None:
    with ThreadPoolExecutor() as pool:
        starts = [pool.submit(EmbeddedAws(embedded.folder).start) for _ in range(2)]
        first, second = (start.result() for start in starts)
    assert first == second


def test_a_port_that_was_asked_for_and_is_taken_is_named_with_its_holder(
    embedded: EmbeddedAws, taken_port: int
) -> None:
    with pytest.raises(UserError) as caught:
        embedded.start(taken_port)
    assert f"Port {taken_port} is in use" in caught.value.message
    assert f"pid {os.getpid()}" in caught.value.message
    assert caught.value.remedy


def test_another_port_is_found_when_none_was_asked_for(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PREFERRED_PORT", taken_port)
    with process.listen(None) as listener:
        assert listener.getsockname()[1] != taken_port


def test_another_web_server_is_not_taken_for_ours(taken_port: int) -> None:
    assert process.answers(taken_port) is None


def test_a_pid_that_is_used_again_is_neither_found_nor_stopped(embedded: EmbeddedAws) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        embedded.folder.mkdir()
        record = {"pid": bystander.pid, "port": 1, "created": psutil.Process(bystander.pid).create_time()}
        (embedded.folder / "server.json").write_text(json.dumps(record))
        assert embedded.running() is None
        assert embedded.stop() is False
        assert bystander.poll() is None
    finally:
        bystander.communicate(b"\n")


def test_a_pid_file_cut_short_is_no_server(embedded: EmbeddedAws) -> None:
    embedded.folder.mkdir()
    (embedded.folder / "server.json").write_text('{"pid": 1')
    assert embedded.running() is None


def test_it_already_runs_on_another_port(embedded: EmbeddedAws) -> None:
    started = embedded.start(free_port())
    with pytest.raises(UserError, match=f"already runs on port {started.port}"):
        embedded.start(free_port())


def test_a_crash_at_the_start_is_told_with_the_end_of_the_log(
    embedded: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_AMIS_PATH", "/nowhere/amis.json")  # moto reads it when it is imported, and fails
    with pytest.raises(UserError, match=r"FileNotFoundError.*amis\.json"):
        embedded.start()
    assert embedded.running() is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        EmbeddedAws(tmp_path / "file" / "aws").start()


def test_a_full_disk_is_told(embedded: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(UserError, match="No space left") as caught:
        embedded.start()
    assert "disk space" in caught.value.remedy


def test_the_environment_leads_to_the_embedded_aws_alone(embedded: EmbeddedAws) -> None:
    inherited = {
        "AWS_PROFILE": "mine",
        "AWS_SESSION_TOKEN": "t",
        "AWS_CA_BUNDLE": "/x",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere.test",
        "NO_PROXY": "internal.test",
        "PATH": "/bin",
    }
    endpoint = process.Endpoint(port=5700, pid=1)
    variables = environment_variables(endpoint, "eu-central-1", inherited)
    gone = {name for name, value in variables.items() if value is None}
    assert gone == {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL_S3"}
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5700"
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert variables["NO_PROXY"] == "127.0.0.1,internal.test"
    assert "PATH" not in variables


def test_boto3_works_with_the_environment_alone(embedded: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    endpoint = embedded.start()  # nor does the user's profile end the server
    for name, value in environment_variables(endpoint, "us-east-1").items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    assert boto3.session.Session().client("sts").get_caller_identity()["Account"] == "123456789012"
