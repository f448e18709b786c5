"""Start, find and stop the embedded AWS of a working folder, and direct AWS clients to it.

The server is `ollama_gpu.local.embedded_aws`. This module starts it by name, so that a command for a real account loads
neither moto nor Flask.
"""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from ollama_gpu.core.background import BackgroundProcess, Record
from ollama_gpu.core.errors import UserError

SERVICE = "ollama-gpu-embedded-aws"
"""How the server identifies itself on its health page, to tell it from any other program on the port."""
HEALTH_PATH = "/ollama-gpu/health"
SERVER_MODULE = "ollama_gpu.local.embedded_aws.server"
HOST = "127.0.0.1"  # an address, not "localhost": only then the SDKs use path-style S3
PREFERRED_PORT = 5566
START_SECONDS = 90.0  # measured: 4 to 6 s; much longer on a busy machine with cold disks
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Endpoint:
    """The address of a running embedded AWS."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


class EmbeddedAws:
    """The embedded AWS whose log, record and lock are in ``folder``."""

    def __init__(self, folder: Path, region: str = "us-east-1") -> None:
        self.folder = folder
        self.region = region
        self._process = BackgroundProcess(folder, "server", SERVER_MODULE, "The embedded AWS")
        self.log = self._process.log

    def running(self) -> Endpoint | None:
        """Return the server of this folder if it runs and responds; never another program."""
        record = self._process.record()
        endpoint = _endpoint(record) if record else None
        return endpoint if endpoint and answers(endpoint.port) == endpoint.pid else None

    def start(self, port: int | None = None) -> Endpoint:
        """Start the server, or return the one that is running.

        Without ``port`` it listens on 5566, or on a free port if 5566 is taken. Raises UserError when the requested
        port is taken, when the server does not start (with the end of its log), or when the folder cannot be written.
        """
        with self._process.locked():
            record = self._process.record()
            endpoint = _endpoint(record) if record else None
            if endpoint is not None:
                if port not in (None, endpoint.port):
                    raise UserError(
                        f"The embedded AWS already runs on port {endpoint.port}, not on {port}.",
                        "Use that port, or stop it first: make local-down",
                    )
                return self._wait(endpoint)
            with listen(port) as listener:
                return self._launch(listener)

    def stop(self) -> bool:
        """Stop the server that this folder started and return whether one was running."""
        return self._process.stop(STOP_SECONDS)

    def _launch(self, listener: socket.socket) -> Endpoint:
        port: int = listener.getsockname()[1]
        arguments = ["--host", HOST, "--port", str(port), "--fd", str(listener.fileno()), "--region", self.region]
        # moto reads AWS settings through botocore, which fails if the user's profile does not exist
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        child = self._process.start(arguments, {"port": port}, environment, [listener.fileno()])
        try:
            return self._wait(Endpoint(port, child.pid))
        except (UserError, KeyboardInterrupt):
            self._process.abandon(child)
            raise

    def _wait(self, endpoint: Endpoint) -> Endpoint:
        self._process.wait(endpoint.pid, lambda: answers(endpoint.port) == endpoint.pid, START_SECONDS)
        return endpoint


def _endpoint(record: Record) -> Endpoint | None:
    port = record.details.get("port")
    return Endpoint(port, record.pid) if isinstance(port, int) else None


def answers(port: int) -> int | None:
    """Return the process id of the embedded AWS on a local port, None if nothing or another program responds."""
    connection = HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", HEALTH_PATH)
        page = json.loads(connection.getresponse().read(4096))
        return int(page["pid"]) if page["service"] == SERVICE else None
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return None
    finally:
        connection.close()


def listen(requested: int | None) -> socket.socket:
    """Return a socket that listens on the given port, or else on the preferred port or any free one.

    The server inherits the socket. It imports for seconds before it serves, during which another program could take the
    port.
    """
    listener = _listen(requested or PREFERRED_PORT)
    if listener is None and requested is None:
        listener = _listen(0)
    if listener is None:
        raise UserError(
            f"Port {requested} is in use{_holder(requested or 0)}.",
            "Choose another port, let the driver choose one, or end that program.",
        )
    return listener


def environment_variables(
    endpoint: Endpoint, region: str, inherited: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """Return the environment variables with which every AWS SDK of a child process uses only the embedded AWS.

    A value of None unsets the variable. All AWS_* variables of the shell and the user's AWS files are excluded, because
    a profile, a session token, a CA bundle or an endpoint of a service would override these values.
    """
    inherited = os.environ if inherited is None else inherited
    unset: dict[str, str | None] = {name: None for name in inherited if name.startswith("AWS_")}
    direct = {HOST, *filter(None, (inherited.get("NO_PROXY") or inherited.get("no_proxy") or "").split(","))}
    return unset | {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint.url,
        # Python's clients, unlike Go's, use a proxy even for 127.0.0.1
        "NO_PROXY": ",".join(sorted(direct)),
        "no_proxy": ",".join(sorted(direct)),
    }


def _listen(port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore connections in TIME_WAIT
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if isinstance(error, PermissionError):
            raise UserError(f"Port {port} cannot be used: {error.strerror}.", "Choose a port above 1023.") from error
        if error.errno == errno.EADDRINUSE:
            return None
        raise
    return listener


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        return ""  # the process belongs to another user
    return ""
