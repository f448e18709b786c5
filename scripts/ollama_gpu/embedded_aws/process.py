"""Starts, finds and stops the one embedded AWS of a working folder.

The server is a background process in a session of its own, so that Ctrl-C in the driver does not reach it.
``server.json`` says which process it is; a process counts as ours only if its start time agrees as well,
since pids are used again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO

import psutil

from ollama_gpu.errors import UserError

from . import identity

HOST = "127.0.0.1"  # an address and not "localhost": only then do the SDKs choose path-style S3
PREFERRED_PORT = 5566
START_SECONDS = 90.0  # measured 4 to 6 s alone; much longer on a busy machine with cold disks
STOP_SECONDS = 10.0
LOG_TAIL_LINES = 15
CLOCK_SLACK_SECONDS = 60.0  # psutil derives the start time from the boot time, which clock corrections move


@dataclass(frozen=True)
class Endpoint:
    """Where a running embedded AWS answers."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True)
class _Record:
    pid: int
    port: int
    created: float

    def process(self) -> psutil.Process | None:
        """The recorded process, or None if it has ended, be its pid in use again or not."""
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            same_time = abs(process.create_time() - self.created) < CLOCK_SLACK_SECONDS
            command = process.cmdline()
            return process if same_time and {identity.SERVER_MODULE, str(self.port)} <= {*command} else None
        except psutil.Error:
            return None


class EmbeddedAws:
    """The embedded AWS whose log, pid file and lock lie in ``folder``."""

    def __init__(self, folder: Path, region: str = "us-east-1") -> None:
        self.folder = folder
        self.region = region
        self.log = folder / "server.log"
        self._record_file = folder / "server.json"

    def running(self) -> Endpoint | None:
        """The server that this folder started, if it lives and answers; never anybody else's."""
        record = self._read()
        if record is None or record.process() is None:
            return None
        return Endpoint(record.port, record.pid) if answers(record.port) == record.pid else None

    def start(self, port: int | None = None) -> Endpoint:
        """Start the server, or return the one that runs.

        Without ``port`` it is 5566, or a free one where that is taken. Raises UserError when the port asked
        for is taken, when the server does not come up (with the end of its log), or when the folder cannot
        be written.
        """
        with self._locked():
            record = self._read()
            if record is not None and (process := record.process()) is not None:
                if port not in (None, record.port):
                    raise UserError(
                        f"The embedded AWS already runs on port {record.port}, not on {port}.",
                        "Use that port, or stop it first: make local-down",
                    )
                return self._wait(record, process)
            with listen(port) as listener:
                return self._launch(listener)

    def stop(self) -> bool:
        """End the server that this folder started and say whether one was running."""
        if not self._record_file.exists():
            return False
        with self._locked():
            record = self._read()
            process = record.process() if record else None
            if process is not None:
                _end(process)
            self._record_file.unlink(missing_ok=True)
            return process is not None

    def _launch(self, listener: socket.socket) -> Endpoint:
        port: int = listener.getsockname()[1]
        command = [sys.executable, "-m", identity.SERVER_MODULE]
        command += ["--host", HOST, "--port", str(port), "--fd", str(listener.fileno()), "--region", self.region]
        with _writing(self.folder):
            if self.log.exists():
                self.log.replace(self.log.with_suffix(".log.1"))
            with self.log.open("wb") as log:
                child = _spawn(command, log, listener.fileno())
            try:
                record = _Record(child.pid, port, psutil.Process(child.pid).create_time())
                partial = self._record_file.with_suffix(".partial")
                partial.write_text(json.dumps(asdict(record)), encoding="utf-8")
                partial.replace(self._record_file)
            except (OSError, psutil.Error):
                child.kill()  # nobody could find it again
                child.wait()
                raise
        try:
            return self._wait(record, psutil.Process(record.pid))
        except (UserError, KeyboardInterrupt, psutil.NoSuchProcess):
            if child.poll() is None:
                child.kill()
            child.wait()
            self._record_file.unlink(missing_ok=True)
            raise

    def _wait(self, record: _Record, process: psutil.Process) -> Endpoint:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if answers(record.port) == record.pid:
                return Endpoint(record.port, record.pid)
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise UserError(
                    f"The embedded AWS ended while starting. The end of its log:\n{self._log_tail()}",
                    f"The whole log is {self.log}.",
                )
            time.sleep(0.1)
        raise UserError(
            f"The embedded AWS (pid {record.pid}) did not answer on port {record.port}"
            f" within {START_SECONDS:.0f} s. The end of its log:\n{self._log_tail()}",
            "Stop it and try again: make local-down",
        )

    def _log_tail(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            return f"(not readable: {error})"
        return "\n".join(lines[-LOG_TAIL_LINES:]) or "(empty)"

    def _read(self) -> _Record | None:
        try:
            return _Record(**json.loads(self._record_file.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, TypeError):  # cut short by a full disk: nothing can be said of that process
            return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock: of two commands that start at once, the second finds the first's server."""
        with _writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w", encoding="utf-8")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def answers(port: int) -> int | None:
    """The pid of the embedded AWS that answers on a local port, or None if nothing or another program
    does."""
    connection = HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", identity.HEALTH_PATH)
        page = json.loads(connection.getresponse().read(4096))
        return int(page["pid"]) if page["service"] == identity.SERVICE else None
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return None
    finally:
        connection.close()


def listen(asked: int | None) -> socket.socket:
    """A socket that listens on the port asked for, else on the preferred one, else on any free one.

    The server inherits it: between choosing a port and serving on it lie seconds of imports, in which another
    program could take the port.
    """
    listener = _listen(asked or PREFERRED_PORT)
    if listener is None and asked is None:
        listener = _listen(0)
    if listener is None:
        raise UserError(
            f"Port {asked} is in use{_holder(asked or 0)}.",
            "Choose another port, leave the choice to the driver, or end that program.",
        )
    return listener


def environment_variables(
    endpoint: Endpoint, region: str, inherited: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """What a child process needs so that every AWS SDK in it talks to the embedded AWS and to nothing else.

    A value of None means: take the variable out. Every AWS_* of the shell goes (a profile, a session token,
    a CA bundle or a service's own endpoint would each win over ours), as do the user's AWS files.
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
        # Python's clients, unlike Go's, send even 127.0.0.1 through a proxy
        "NO_PROXY": ",".join(sorted(direct)),
        "no_proxy": ",".join(sorted(direct)),
    }


def _spawn(command: list[str], log: IO[bytes], listener: int) -> subprocess.Popen[bytes]:
    # moto reads AWS settings through botocore: a profile of the user's that does not exist would end it
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd="/",
        env=environment,
        pass_fds=[listener],
    )


def _end(process: psutil.Process) -> None:
    try:
        process.terminate()
        process.wait(STOP_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)
    except psutil.NoSuchProcess:
        return


def _listen(port: int) -> socket.socket | None:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT are no hindrance
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
        return ""  # another user's process: the system does not tell
    return ""


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = (
            "Free some disk space." if error.errno == errno.ENOSPC else "Make the folder writable, or choose another."
        )
        raise UserError(f"The embedded AWS cannot write to {folder}: {error.strerror or error}.", remedy) from error
