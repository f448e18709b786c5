"""ollama-gpu-drain: streams end before the instance does, within the time budget, and the hook is completed once."""

from __future__ import annotations

import dataclasses
import json
import socket
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.collection import programs

drain: Any = programs.load("drain", "ollama-gpu-drain")

START = 1_800_000_000.0


class Host:
    """A simulated instance: the metadata service's events, the gateway's load, and the recorded actions."""

    def __init__(self, flag: Path, **options: Any) -> None:
        self.now = START
        self.told: Any = drain.Events(lifecycle="InService")
        self.metadata_gone = False
        self.asked = 0
        self.work: Any = drain.Running(0, 0)
        self.gateway_gone = False
        self.draining = False
        self.completed = 0
        self.complete_fails = False
        self.flag = flag
        self.watch = drain.Watch(
            gateway=self,
            events=self.events,
            complete=self.complete,
            seconds=110,
            settle=5,
            flag=flag,
            clock=lambda: self.now,
            **{"on_rebalance": False, **options},
        )

    def events(self) -> Any:
        self.asked += 1
        if self.metadata_gone:
            raise drain.Unreachable("the metadata service does not answer")
        return self.told

    def running(self) -> Any:
        if self.gateway_gone:
            raise drain.Unreachable("the gateway does not answer")
        return self.work

    def drain(self) -> None:
        if self.gateway_gone:
            raise drain.Unreachable("the gateway does not answer")
        self.draining = True

    def serve(self) -> None:
        self.draining = False

    def complete(self) -> str:
        if self.complete_fails:
            raise OSError("no route")
        self.completed += 1
        return "completed"

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.watch.look()
            self.now += 1


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "run" / "draining")


def test_instance_in_service_is_not_drained(host: Host) -> None:
    host.pass_time(30)
    assert not host.draining
    assert not host.flag.exists()


def test_a_termination_drains_waits_for_streams_and_completes_the_hook_once(host: Host) -> None:
    host.work = drain.Running(2, 1)
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(40)
    assert host.draining
    assert host.completed == 0
    host.work = drain.Running(0, 0)
    host.pass_time(4)
    assert host.completed == 0  # requests can arrive until the load balancer detects the drain
    host.pass_time(60)
    assert host.completed == 1


def test_drain_waits_for_late_requests(host: Host) -> None:
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(4)
    host.work = drain.Running(1, 0)
    host.pass_time(10)
    assert host.completed == 0
    host.work = drain.Running(0, 0)
    host.pass_time(7)
    assert host.completed == 1


def test_drain_ends_after_the_time_budget(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.work = drain.Running(3, 2)
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(109)
    assert host.completed == 0
    host.pass_time(5)
    assert host.completed == 1
    said = 'step=drain result=failed in_flight=3 queued=2 cause="the time budget ended before the streams did"'
    assert said in capsys.readouterr().out


def test_a_spot_notice_drains_until_shortly_before_the_end_and_completes_nothing(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.work = drain.Running(1, 0)
    host.told = drain.Events(lifecycle="InService", spot_end=START + 60)
    host.pass_time(54)
    assert host.draining
    assert "result=failed" not in capsys.readouterr().out
    host.pass_time(3)
    assert "the time budget ended before the streams did" in capsys.readouterr().out
    assert host.completed == 0


def test_a_termination_after_a_spot_notice_completes_the_hook(host: Host) -> None:
    host.told = drain.Events(lifecycle="InService", spot_end=START + 120)
    host.pass_time(10)
    host.told = drain.Events(lifecycle="Terminated", spot_end=START + 120)
    host.pass_time(3)
    assert host.completed == 1


def test_rebalance_recommendation_drains_only_if_enabled(tmp_path: Path, host: Host) -> None:
    host.told = drain.Events(lifecycle="InService", rebalance=True)
    host.pass_time(10)
    assert not host.draining
    eager = Host(tmp_path / "eager", on_rebalance=True)
    eager.told = host.told
    eager.pass_time(1)
    assert eager.draining


def test_an_instance_that_returns_from_the_warm_pool_serves_again(host: Host) -> None:
    host.told = drain.Events(lifecycle="Warmed:Stopped")
    host.pass_time(10)
    assert host.draining
    assert host.completed == 1
    host.told = drain.Events(lifecycle="InService")
    host.pass_time(2)
    assert not host.draining
    assert not host.flag.exists()
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(10)
    assert host.completed == 2


def test_missing_metadata_service_is_logged_once_and_retried_with_backoff(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.metadata_gone = True
    host.pass_time(600)
    assert host.asked < 20
    host.metadata_gone = False
    host.pass_time(60)
    assert capsys.readouterr().out.count("step=metadata") == 2  # failed once, ok once


def test_drain_continues_without_the_metadata_service(host: Host) -> None:
    host.work = drain.Running(1, 0)
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(2)
    host.metadata_gone = True
    host.work = drain.Running(0, 0)
    host.pass_time(10)
    assert host.completed == 1


def test_drain_is_restored_after_a_reload_of_the_gateway(host: Host) -> None:
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(1)
    host.draining = False
    host.pass_time(1)
    assert host.draining


def test_manual_drain_is_restored_after_a_reload(host: Host) -> None:
    drain.raise_flag(host.flag, "by hand", START)
    host.pass_time(1)
    assert host.draining
    assert host.completed == 0


def test_manual_undo_does_not_stop_a_scheduled_termination(host: Host) -> None:
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(2)
    host.flag.unlink()
    host.draining = False
    host.pass_time(1)
    assert host.draining
    assert host.flag.exists()


def test_without_a_gateway_there_are_no_streams_to_wait_for(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.gateway_gone = True
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(20)
    assert host.completed == 1
    assert capsys.readouterr().out.count("step=gateway result=failed") == 1


def test_failed_hook_completion_is_logged_and_not_retried(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.complete_fails = True
    host.told = drain.Events(lifecycle="Terminated")
    host.pass_time(20)
    assert 'step=terminate-hook result=failed cause="OSError: no route"' in capsys.readouterr().out


# The metadata service


class MetadataHandler(BaseHTTPRequestHandler):
    paths: dict[str, str] = {}  # noqa: RUF012 (one class a test)
    tokens: list[str] = []  # noqa: RUF012

    def log_message(self, format: str, *args: object) -> None:
        """Do not log."""

    def do_PUT(self) -> None:
        self.tokens.append(f"token-{len(self.tokens)}")
        self._answer(200, self.tokens[-1])

    def do_GET(self) -> None:
        if not self.tokens or self.headers.get("X-aws-ec2-metadata-token") != self.tokens[-1]:
            self._answer(401, "")
        else:
            text = self.paths.get(self.path.removeprefix("/latest/meta-data/"))
            self._answer(404 if text is None else 200, text or "")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@dataclasses.dataclass
class MetadataService:
    paths: dict[str, str]
    tokens: list[str]
    endpoint: str


@pytest.fixture
def service() -> Iterator[MetadataService]:
    paths = {"instance-id": "i-1", "autoscaling/target-lifecycle-state": "InService"}
    tokens: list[str] = []
    handler = type("ThisMetadata", (MetadataHandler,), {"paths": paths, "tokens": tokens})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield MetadataService(paths, tokens, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


def test_metadata_is_read_with_a_token_and_a_missing_path_is_empty(service: MetadataService) -> None:
    metadata = drain.Metadata(service.endpoint)
    assert metadata.events() == drain.Events(lifecycle="InService")
    assert metadata.instance_id() == "i-1"
    assert len(service.tokens) == 1


def test_spot_notice_and_rebalance_recommendation_are_parsed(service: MetadataService) -> None:
    service.paths["spot/instance-action"] = '{"action": "terminate", "time": "2027-01-15T08:00:30Z"}'
    service.paths["events/recommendations/rebalance"] = '{"noticeTime": "2027-01-15T07:58:00Z"}'
    events = drain.Metadata(service.endpoint).events()
    assert events == drain.Events(lifecycle="InService", spot_end=START + 30, rebalance=True)


def test_rejected_token_is_renewed(service: MetadataService) -> None:
    metadata = drain.Metadata(service.endpoint)
    metadata.events()
    service.tokens.append("the service was restarted")
    assert metadata.events().lifecycle == "InService"


def test_unknown_spot_notice_is_an_error(service: MetadataService) -> None:
    service.paths["spot/instance-action"] = "soon"
    with pytest.raises(drain.Unreachable, match="soon"):
        drain.Metadata(service.endpoint).events()


def test_missing_metadata_service_is_reported_with_its_address() -> None:
    with pytest.raises(drain.Unreachable, match=r"127\.0\.0\.1:9"):
        drain.Metadata("http://127.0.0.1:9").events()


# The gateway's admin socket

STAT = """# pxname,svname,qcur,qmax,scur,addr,
front_door,FRONTEND,,,1,,
ollama,gpu0,0,0,2,127.0.0.1:11500,
ollama,gpu1,0,0,2,127.0.0.1:11501,
ollama,BACKEND,3,5,7,,
embeddings,gpu0,0,0,1,127.0.0.1:11500,
embeddings,BACKEND,1,1,2,,
listings,BACKEND,9,9,9,,
"""
# To 11500 (2CEC) two established and one closing, to 11501 (2CED) one; Ollama's side of one; another port.
CONNECTIONS = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:C001 0100007F:2CEC 01 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:C002 0100007F:2CEC 01 00000000:00000000 00:00000000 00000000     0        0 1
   2: 0100007F:C003 0100007F:2CEC 06 00000000:00000000 00:00000000 00000000     0        0 1
   3: 0100007F:C004 0100007F:2CED 01 00000000:00000000 00:00000000 00000000     0        0 1
   4: 0100007F:2CEC 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 1
   5: 0100007F:C005 0100007F:2CAA 01 00000000:00000000 00:00000000 00000000     0        0 1
"""


@dataclasses.dataclass
class AdminSocket:
    path: str
    commands: list[str]
    answers: dict[str, str]


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[AdminSocket]:
    found = AdminSocket(str(tmp_path / "admin.sock"), [], {"show stat": STAT})
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(found.path)
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                command = connection.recv(1000).decode().strip()
                found.commands.append(command)
                connection.sendall(found.answers.get(command, "\n").encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield found
    # wake the accept call, or else the thread would accept connections of the next socket with the same descriptor
    listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    listener.close()


def test_running_requests_are_counted_by_connections(tmp_path: Path, admin: AdminSocket) -> None:
    (tmp_path / "tcp").write_text(CONNECTIONS)
    assert drain.Gateway(admin.path, str(tmp_path / "tcp")).running() == drain.Running(in_flight=3, queued=4)


def test_drain_disables_the_health_server_of_the_gateway(admin: AdminSocket) -> None:
    gateway = drain.Gateway(admin.path)
    gateway.drain()
    gateway.serve()
    assert admin.commands == ["disable server instance/health", "enable server instance/health"]


def test_gateway_refusal_or_failure_is_an_error(tmp_path: Path, admin: AdminSocket) -> None:
    admin.answers["disable server instance/health"] = "No such server.\n"
    with pytest.raises(drain.Unreachable, match="No such server"):
        drain.Gateway(admin.path).drain()
    with pytest.raises(drain.Unreachable, match="does not answer"):
        drain.Gateway(str(tmp_path / "nothing.sock")).running()


# AWS


class AutoScaling(BaseHTTPRequestHandler):
    calls: list[dict[str, str]] = []  # noqa: RUF012
    answer = (200, "<R><CompleteLifecycleActionResult/></R>")

    def log_message(self, format: str, *args: object) -> None:
        """Do not log."""

    def do_POST(self) -> None:
        form = urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.calls.append(dict(form))
        status, text = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[type[AutoScaling], dict[str, Any]]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    handler = type("ThisAutoScaling", (AutoScaling,), {"calls": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    instance = {
        "region": "eu-central-1",
        "group": "ollama-gpu-test-interactive",
        "lifecycle_hooks": {"launch": "instance-ready", "terminate": "instance-drained"},
        "endpoint_url": f"http://127.0.0.1:{server.server_port}",
    }
    yield handler, instance
    server.shutdown()
    server.server_close()


def test_the_hook_is_completed_with_continue(aws: tuple[type[AutoScaling], dict[str, Any]]) -> None:
    handler, instance = aws
    assert "is completed with CONTINUE" in drain.complete_hook(instance, "i-1")
    asked = handler.calls[0]
    assert asked["Action"] == "CompleteLifecycleAction"
    assert asked["AutoScalingGroupName"] == "ollama-gpu-test-interactive"
    assert asked["LifecycleHookName"] == "instance-drained"
    assert asked["LifecycleActionResult"] == "CONTINUE"
    assert asked["InstanceId"] == "i-1"


def test_completing_a_hook_that_does_not_wait_is_no_error(aws: tuple[type[AutoScaling], dict[str, Any]]) -> None:
    handler, instance = aws
    message = "No active Lifecycle Action found with instance ID i-1"
    error = f"<Error><Code>ValidationError</Code><Message>{message}</Message></Error>"
    handler.answer = (400, f"<ErrorResponse>{error}</ErrorResponse>")
    assert drain.complete_hook(instance, "i-1") == f"no hook instance-drained is waiting: {message}"


# The command


def command(*words: str) -> subprocess.CompletedProcess[str]:
    program = programs.command("drain", "ollama-gpu-drain")
    return subprocess.run([*program, *words], capture_output=True, text=True, check=False, timeout=30)


def test_manual_drain_is_shown_and_undone(tmp_path: Path, admin: AdminSocket) -> None:
    common = ["--socket", admin.path, "--flag", str(tmp_path / "run" / "draining")]
    # No connections to these ports exist, and no request waits.
    admin.answers["show stat"] = "# pxname,svname,qcur,addr,\nollama,gpu0,0,127.0.0.1:1,\nollama,BACKEND,0,,\n"
    drained = command("now", *common, "--settle", "0", "--seconds", "5")
    assert drained.returncode == 0, drained.stderr
    assert json.loads(command("status", "--json", *common).stdout)["draining"] is True
    assert "draining (manual)" in command("status", *common).stdout
    assert command("undo", *common).returncode == 0
    assert json.loads(command("status", "--json", *common).stdout) == {"draining": False, "in_flight": 0, "queued": 0}


def test_manual_drain_reports_running_requests_after_the_time_budget(tmp_path: Path, admin: AdminSocket) -> None:
    common = ["--socket", admin.path, "--flag", str(tmp_path / "draining")]
    ended = command("now", *common, "--seconds", "0.5", "--poll", "0.1")
    assert ended.returncode == 1
    assert "4 waiting" in ended.stderr


def test_command_reports_a_missing_gateway_without_a_traceback(tmp_path: Path) -> None:
    ended = command("status", "--socket", str(tmp_path / "no.sock"), "--flag", str(tmp_path / "no"))
    assert ended.returncode == 1
    assert ended.stderr.startswith("ollama-gpu-drain: the gateway does not answer")
