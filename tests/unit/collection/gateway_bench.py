"""A real HAProxy with the role's own configuration between scripted upstreams, for the gateway's tests."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from ollama_gpu.core.paths import locate
from tests.unit.collection.programs import ROLES

ROLE = ROLES / "gateway"
ANSIBLE = shutil.which("ansible-playbook", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def wait_for(condition: Callable[[], Any], seconds: float = 20, what: str = "") -> Any:
    """Return the condition's first true value. Raises AssertionError after the timeout."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or condition}"
        time.sleep(0.02)
    return value


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for found in sockets:
        found.bind(("127.0.0.1", 0))
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


def render(folder: Path, contract: dict[str, Any], **variables: Any) -> dict[str, str]:
    """Render the role's templates with Ansible and the role's defaults. Returns them by file name."""
    assert ANSIBLE
    names = sorted(path.name for path in (ROLE / "templates").glob("*.j2"))
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
            "tasks": [
                {
                    "ansible.builtin.template": {
                        "src": str(ROLE / "templates" / "{{ item }}"),
                        "dest": str(folder / "{{ item | regex_replace('.j2$', '') }}"),
                        "mode": "0644",
                    },
                    "loop": names,
                }
            ],
        }
    ]
    (folder / "play.yml").write_text(yaml.safe_dump(play))
    (folder / "variables.json").write_text(json.dumps({"contract": contract, **variables}))
    command = [ANSIBLE, "-i", "localhost,", "-e", f"ansible_python_interpreter={sys.executable}"]
    command += ["-e", f"@{folder / 'variables.json'}", str(folder / "play.yml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return {name.removesuffix(".j2"): (folder / name.removesuffix(".j2")).read_text() for name in names}


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed connections: HAProxy closes a check's connection early."""


class Upstream(Server):
    """Replaces one Ollama or one Open WebUI. The request's body and the test control its answers."""

    request_queue_size = 128

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), UpstreamHandler)
        self.statuses: dict[str, int] = {}  # statuses by path, if not 200
        self.seen: list[tuple[str, dict[str, str]]] = []  # path and headers of every request except checks
        self.busy = 0  # requests in progress
        self.most_busy = 0
        self.release = threading.Event()  # ends the streams that wait for it
        self.release.set()
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class UpstreamHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def log_message(self, format: str, *args: object) -> None:
        """Do not log."""

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())  # noqa: S324
            self.end_headers()
            while block := self.connection.recv(1000):
                self.connection.sendall(block.upper())
            return
        if self.path not in ("/api/version", "/ready", "/health"):
            self.server.seen.append((self.path, dict(self.headers)))
        self._whole(self.server.statuses.get(self.path, 200), {"path": self.path, "port": self.server.server_port})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, dict(self.headers)))
        try:
            with self._in_work():
                time.sleep(body.get("delay", 0))
                status = self.server.statuses.get(self.path, 200)
                streamed = status == 200 and body.get("stream", True)
                if streamed:
                    self._stream(body)
            # Send the end after the request is counted as finished: the gateway then sends the next request at once.
            if streamed:
                self.wfile.write(b"0\r\n\r\n")
            else:
                self._whole(status, {"done": True})
        except OSError:
            self.close_connection = True

    @contextmanager
    def _in_work(self) -> Iterator[None]:
        with self.server.lock:
            self.server.busy += 1
            self.server.most_busy = max(self.server.busy, self.server.most_busy)
        try:
            yield
        finally:
            with self.server.lock:
                self.server.busy -= 1

    def _stream(self, body: dict[str, Any]) -> None:
        """Send everything except the end."""
        self.send_response(200)
        self.send_header("Content-Type", body.get("type", "application/x-ndjson"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for token in range(body.get("tokens", 3)):
            line = json.dumps({"token": token}).encode() + b"\n"
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            time.sleep(body.get("pace", 0.01))
        if body.get("hold"):
            self.server.release.wait(30)

    def _whole(self, status: int, document: dict[str, Any]) -> None:
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Server", "upstream")
        self.end_headers()
        self.wfile.write(text)


class Health(Server):
    """Replaces ollama-gpu-health: readiness, the agent's answers by port, and a list of models."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), HealthHandler)
        self.ready = True
        self.down: dict[str, str] = {}
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class HealthHandler(BaseHTTPRequestHandler):
    server: Health
    raw_requestline: bytes

    def log_message(self, format: str, *args: object) -> None:
        """Do not log."""

    def parse_request(self) -> bool:
        port = self.raw_requestline.decode().strip()
        if not port.isdigit():
            return super().parse_request()
        self.wfile.write(f"{self.server.down.get(port, 'up')}\n".encode())
        self.close_connection = True
        return False

    def do_GET(self) -> None:
        listed = self.path == "/api/tags"
        text = b'{"models": []}' if listed else b""
        self.send_response(200 if self.server.ready or listed else 503)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Gateway:
    """The running gateway and everything around it."""

    def __init__(self, folder: Path, **variables: Any) -> None:
        self.folder = folder
        contract = yaml.safe_load(locate().contract.read_text())
        names = ["front_door", "gateway", "metrics", "health", "ollama0", "ollama1", "webui0", "webui1"]
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._log.bind(("127.0.0.1", 0))
        contract["ports"] |= {name: self.ports[name] for name in ("front_door", "gateway", "metrics")}
        contract["ports"]["embedded_metrics"] = self._log.getsockname()[1]
        self.contract = contract
        self.ollama = [Upstream(self.ports["ollama0"]), Upstream(self.ports["ollama1"])]
        self.webui = [Upstream(self.ports["webui0"]), Upstream(self.ports["webui1"])]
        self.health = Health(self.ports["health"])
        self.socket = str(folder / "admin.sock")
        certificate = folder / "tls" / "front-door.pem"
        program = [sys.executable, str(ROLE / "files" / "ollama-gpu-certificate.py"), str(certificate)]
        subprocess.run(program, check=True, capture_output=True)
        self.files = render(
            folder,
            contract,
            gateway_group="ollama-gpu-test-interactive",
            gateway_environment="test",
            gateway_models=["Gemma3:270m", "llama3:latest"],
            gateway_health_port=self.ports["health"],
            gateway_ollama_ports=[self.ports["ollama0"], self.ports["ollama1"]],
            gateway_open_webui_ports=[self.ports["webui0"], self.ports["webui1"]],
            _gateway_admin_socket=self.socket,
            _gateway_certificate=str(certificate),
            _gateway_model_names=str(folder / "models.map"),
            **variables,
        )
        # The user and the chroot need root; everything else is the role's own configuration.
        text = self.files["haproxy.cfg"]
        kept = [line for line in text.splitlines() if line.split()[:1] not in (["chroot"], ["user"], ["group"])]
        self.configuration = folder / "gateway.cfg"
        self.configuration.write_text("\n".join(kept) + "\n")
        self.lines: list[dict[str, Any]] = []
        self.process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._listen, daemon=True).start()

    def start(self, haproxy: str) -> None:
        with (self.folder / "haproxy.log").open("wb") as output:
            command = [haproxy, "-W", "-f", str(self.configuration)]
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        wait_for(self.ready, what=f"the gateway is ready: {(self.folder / 'haproxy.log').read_text()}")

    def stop(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
        for server in (*self.ollama, *self.webui, self.health):
            server.shutdown()
            server.server_close()

    def reload(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGUSR2)

    def ready(self) -> bool:
        try:
            return bool(self.front("/healthz").status == 200)
        except OSError:
            return False

    def admin(self, line: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket)
            connection.sendall(line.encode() + b"\n")
            answer = b""
            while block := connection.recv(65536):
                answer += block
        return answer.decode()

    def front(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Any:
        """One request through the front door, with its body read."""
        context = ssl._create_unverified_context()  # noqa: S323 (self-signed, as for the load balancer)
        connection = HTTPSConnection("127.0.0.1", self.ports["front_door"], timeout=20, context=context)
        return answered(connection, method, path, None, headers or {})

    def ask(self, path: str, body: dict[str, Any] | None = None, method: str = "POST") -> Any:
        """Send one request to the gateway and read the answer. Sets the attributes `text`, `first` and `seconds`."""
        connection = HTTPConnection("127.0.0.1", self.ports["gateway"], timeout=60)
        text = None if body is None else json.dumps(body)
        identity = str(uuid.uuid4())
        answer = answered(connection, method, path, text, {"X-Request-Id": identity})
        assert answer.getheader("X-Request-Id") == identity
        return answer

    @contextmanager
    def begun(self, path: str, **body: Any) -> Iterator[str]:
        """Send a request whose client disconnects at the end of the block. Yields its ID."""
        identity = str(uuid.uuid4())
        text = json.dumps({"model": "gemma3:270m", **body})
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: {identity}\r\nContent-Length: {len(text)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.ports["gateway"])) as connection:
            connection.sendall((head + text).encode())
            yield identity

    @contextmanager
    def held(self, count: int, **body: Any) -> Iterator[list[HTTPResponse]]:
        """Start streams that do not end before the block does."""
        answers: list[HTTPResponse] = []
        for server in self.ollama:
            server.release.clear()
        asked = {"model": "gemma3:270m", "hold": True, **body}
        threads = [threading.Thread(target=lambda: answers.append(self.ask("/api/chat", asked))) for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            yield answers
        finally:
            self.let_go()
            for thread in threads:
                thread.join(60)

    def let_go(self) -> None:
        """End the held streams."""
        for server in self.ollama:
            server.release.set()

    def busy(self) -> int:
        return sum(server.busy for server in self.ollama)

    def logged(self, answer: HTTPResponse) -> dict[str, Any]:
        """Return the log line of an answer's request."""
        return self.line(str(answer.getheader("X-Request-Id")))

    def line(self, identity: str) -> dict[str, Any]:
        """Return the log line of the request with this ID."""

        def found() -> dict[str, Any] | None:
            return next((line for line in self.lines if line["RequestId"] == identity), None)

        line: dict[str, Any] = wait_for(found, 5, f"a log line of the request {identity}")
        return line

    def _listen(self) -> None:
        while True:
            text = self._log.recv(65536).decode()
            if not text.startswith("Proxy "):  # HAProxy's message that an old worker's listeners are closed
                self.lines.append(json.loads(text))


def answered(connection: HTTPConnection, method: str, path: str, body: str | None, headers: dict[str, str]) -> Any:
    started = time.monotonic()
    try:
        connection.request(method, path, body, headers)
        response: Any = connection.getresponse()
        response.first = time.monotonic() - started  # Ollama's headers arrive with its first token
        response.text = response.read().decode()
        response.seconds = time.monotonic() - started
    finally:
        connection.close()
    return response
