#!/usr/bin/env python3
"""Report whether this instance is ready, from checks that the gateway cannot do itself.

GET /ready answers 200, or 503 with the causes. GET /details returns every check's result as JSON. A line with the port
of an Ollama, as HAProxy's agent checks send it, is answered "up" or "down #cause". GET /api/tags returns Ollama's list
of models without those that only embed, because only this service knows which do. Listens on the loopback only.
"""

from __future__ import annotations

import argparse
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, "/usr/local/lib/ollama-gpu")  # role `common` installs the module there
import ollama_gpu_host as host

MODELS_INTERVAL_SECONDS = 5
GPUS_INTERVAL_SECONDS = 15
DISK_INTERVAL_SECONDS = 15
ANSWER_SECONDS = 3  # /api/ps and the gateway's figures answer in milliseconds, even under load
NVIDIA_SMI_SECONDS = 10  # 1 s with the persistence daemon; a GPU that has fallen off the bus can hang it
PROBE_FAILURES = 2  # a single slow probe is ignored

Ask = Callable[[str, "dict[str, Any] | None", float], bytes]
Run = Callable[[list[str], float], str]


@dataclass(frozen=True)
class Settings:
    """The settings file that the role writes. Durations are in seconds, sizes in MiB."""

    disk_paths: list[str]
    disk_reserve_mib: int
    figures: str
    gpus: list[str]
    minimum_ollama: int
    models_file: str
    ollama_ports: list[int]
    port: int
    probe_interval_seconds: int
    probe_limit_seconds: float
    require_gpu: bool
    stall_seconds: int


@dataclass(frozen=True)
class Served:
    """The models that this host serves, and the weights behind every name that Ollama may list."""

    names: list[str]
    weights: Mapping[str, str]  # by full name; two models of the same weights share a process, which has one name
    probe: str  # the model that the probe asks for a token; empty when all models only embed
    embedders: frozenset[str]  # full names of the models that only embed


def read_models(file: str) -> Served:
    """Read the models for each check, because the set changes while this service runs.

    Raises OSError, ValueError, KeyError and TypeError.
    """
    models, known = host.read_models(Path(file))
    return Served(
        names=[str(model["name"]) for model in models],
        weights={full_name(model["name"]): host.weights_of(model) for model in known},
        probe=next((str(model["name"]) for model in models if not model.get("embeds")), ""),
        embedders=frozenset(full_name(model["name"]) for model in known if model.get("embeds")),
    )


def full_name(name: str) -> str:
    return host.full_name(name).lower()


@dataclass(frozen=True)
class Outcome:
    """The result of one check. No cause means success; `slots` has a cause for each Ollama port to take out."""

    cause: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    slots: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    name: str
    interval: float
    patience: float  # a check that takes longer has failed, even if it never returns
    look: Callable[[], Outcome]


class Board:
    """The latest outcome of every check, and the instance's readiness derived from them."""

    def __init__(self, checks: Iterable[Check], ports: Iterable[int], minimum: int, clock: Callable[[], float]) -> None:
        self._checks = {check.name: check for check in checks}
        self._ports = list(ports)
        self._minimum = minimum
        self._clock = clock
        self._latest: dict[str, tuple[float, Outcome]] = {}
        self._lock = threading.Lock()

    def record(self, name: str, outcome: Outcome) -> None:
        with self._lock:
            self._latest[name] = (self._clock(), outcome)

    def outcomes(self) -> dict[str, Outcome]:
        """Return every check's outcome. An outcome that is too old counts as a failure."""
        now = self._clock()
        with self._lock:
            latest = dict(self._latest)
        found = {}
        for name, check in self._checks.items():
            if name not in latest:
                found[name] = Outcome(cause=f"{name} was not checked yet")
                continue
            seen, outcome = latest[name]
            age = now - seen
            late = age > check.interval + check.patience
            found[name] = Outcome(cause=f"{name} has not answered for {age:.0f} s") if late else outcome
        return found

    def slot(self, port: int) -> str:
        """Return why the Ollama on this port must not get chats, or an empty string."""
        causes = (outcome.slots.get(port, "") for outcome in self.outcomes().values())
        return next((cause for cause in causes if cause), "")

    def causes(self) -> list[str]:
        """Return why this instance is not ready. Empty when it is ready."""
        outcomes = self.outcomes()
        found = [outcome.cause for outcome in outcomes.values() if outcome.cause]
        bad = {port: cause for port in self._ports if (cause := self.slot(port))}
        if len(self._ports) - len(bad) < self._minimum:
            found.append(
                f"{len(self._ports) - len(bad)} of {len(self._ports)} Ollama serve, {self._minimum} are required: "
                + "; ".join(f"port {port}: {cause}" for port, cause in bad.items())
            )
        return found

    def details(self) -> dict[str, Any]:
        causes = self.causes()
        return {
            "ready": not causes,
            "causes": causes,
            "ollama": {str(port): self.slot(port) or "up" for port in self._ports},
            "checks": {name: {"cause": outcome.cause, **outcome.details} for name, outcome in self.outcomes().items()},
        }


def look_at_models(settings: Settings, ask: Ask) -> Outcome:
    """Check that every Ollama has every model loaded and, if a GPU is required, fully on it (size_vram == size)."""
    slots: dict[int, str] = {}
    seen: dict[str, Any] = {}
    try:
        served = read_models(settings.models_file)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Outcome(cause=f"{settings.models_file} does not list the served models: {error!r}")
    for port in settings.ollama_ports:
        try:
            answer = json.loads(ask(f"http://127.0.0.1:{port}/api/ps", None, ANSWER_SECONDS))
            loaded = {model["name"].lower(): model for model in answer.get("models") or []}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            slots[port] = f"Ollama does not answer: {error}"
            continue
        sizes = {name: (model.get("size", 0), model.get("size_vram", 0)) for name, model in loaded.items()}
        seen[str(port)] = {name: {"size": size, "size_vram": vram} for name, (size, vram) in sizes.items()}
        processes = {served.weights.get(name, name): share for name, share in sizes.items()}
        for wanted in served.names:
            size, vram = processes.get(served.weights[full_name(wanted)], (None, 0))
            if size is None:
                slots[port] = f"{wanted} is not loaded"
            elif settings.require_gpu and vram < size:
                slots[port] = f"only {100 * vram / max(1, size):.0f} % of {wanted} is on the GPU"
    return Outcome(details={"loaded": seen}, slots=slots)


def chat_models(settings: Settings, ask: Ask) -> bytes:
    """Return Ollama's answer to /api/tags without the models that only embed, which cannot chat.

    All instances share one store, so the first Ollama that answers is used. Raises OSError and ValueError.
    """
    embedders = read_models(settings.models_file).embedders
    failure: OSError = ConnectionError("no Ollama is configured on this host")
    for port in settings.ollama_ports:
        try:
            found = json.loads(ask(f"http://127.0.0.1:{port}/api/tags", None, ANSWER_SECONDS))
        except OSError as error:
            failure = error
            continue
        found["models"] = [each for each in found["models"] if each["name"].lower() not in embedders]
        return json.dumps(found).encode()
    raise failure


def look_at_gpus(settings: Settings, run: Run) -> Outcome:
    """Check that the driver lists every GPU that an Ollama uses."""
    if not settings.require_gpu:
        return Outcome(details={"required": False})
    try:
        text = run(["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"], NVIDIA_SMI_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        return Outcome(cause=f"the GPU driver does not answer: {reason(error)}")
    answering = [line.strip() for line in text.splitlines() if line.strip().startswith("GPU-")]
    details = {"required": True, "answering": answering}
    if settings.gpus:
        gone = {
            port: f"GPU {uuid} does not answer"
            for port, uuid in zip(settings.ollama_ports, settings.gpus)  # noqa: B905 (Python 3.9 has no strict)
            if uuid not in answering
        }
        return Outcome(details=details, slots=gone)
    if len(answering) < len(settings.ollama_ports):
        cause = f"{len(answering)} GPUs answer, {len(settings.ollama_ports)} are required"
        return Outcome(cause=cause, details=details)
    return Outcome(details=details)


def reason(error: Exception) -> str:
    """Return a failed command's last line of output, or else its error."""
    output = getattr(error, "stderr", None) or getattr(error, "stdout", None) or ""
    lines = output.decode(errors="replace") if isinstance(output, bytes) else output
    said = lines.strip().splitlines()
    return said[-1] if said else str(error)


def look_at_disk(settings: Settings, free: Callable[[str], int]) -> Outcome:
    """Check the free space. Below the reserve, logs, uploads and containers fail."""
    room = {}
    causes = []
    for path in settings.disk_paths:
        try:
            room[path] = free(path) // (1 << 20)
        except OSError as error:
            causes.append(f"{path} cannot be read: {error.strerror}")
            continue
        if room[path] < settings.disk_reserve_mib:
            causes.append(f"{path} has {room[path]} MiB free, {settings.disk_reserve_mib} MiB are required")
    return Outcome(cause="; ".join(causes), details={"free_mib": room})


@dataclass(frozen=True)
class Work:
    """The requests that the gateway has running on one Ollama, and the bytes received from it so far."""

    requests: int
    received: int


FIGURE = re.compile(
    r'^haproxy_server_(?P<what>current_sessions|bytes_out_total)\{proxy="(?:ollama|embeddings)",server="gpu(?P<index>\d+)"[^}]*\}'
    r" (?P<value>[0-9.e+]+)",
    re.MULTILINE,
)


def read_figures(page: str, ports: list[int]) -> dict[int, Work]:
    """Return requests and bytes by Ollama port, for chats and embeddings together, from the gateway's metrics page."""
    sums: dict[tuple[int, str], int] = {}
    for found in FIGURE.finditer(page):
        key = (int(found["index"]), found["what"])
        sums[key] = sums.get(key, 0) + int(float(found["value"]))
    return {
        port: Work(sums[index, "current_sessions"], sums.get((index, "bytes_out_total"), 0))
        for index, port in enumerate(ports)
        if (index, "current_sessions") in sums
    }


class Probe:
    """Sends a one-token request to an idle Ollama, and checks that the streams of a busy one make progress.

    A busy GPU is never probed: the probe would wait for a slot or take one, and running streams say more.
    """

    def __init__(self, settings: Settings, ask: Ask, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._ask = ask
        self._clock = clock
        self._failures: dict[int, int] = {}
        self._cause: dict[int, str] = {}
        self._moved: dict[int, tuple[float, Work]] = {}
        self._seconds: dict[int, float] = {}
        self._next: dict[int, float] = {}

    def look(self) -> Outcome:
        try:
            page = self._ask(self._settings.figures, None, ANSWER_SECONDS).decode()
            work = read_figures(page, self._settings.ollama_ports)
        except (OSError, ValueError) as error:
            # Without the gateway it is unknown what is idle. The load balancer detects a failed gateway itself.
            return Outcome(details={"skipped": f"the gateway's metrics cannot be read: {error}"})
        for port in self._settings.ollama_ports:
            if port not in work:
                continue
            if work[port].requests:
                self._watch(port, work[port])
            else:
                self._moved.pop(port, None)
                self._probe(port)
        return Outcome(
            details={"seconds": {str(port): round(taken, 3) for port, taken in self._seconds.items()}},
            slots={port: cause for port, cause in self._cause.items() if cause},
        )

    def _watch(self, port: int, work: Work) -> None:
        now = self._clock()
        since, before = self._moved.get(port, (now, work))
        if work.received != before.received or port not in self._moved:
            self._moved[port] = (now, work)
            if port in self._cause and work.received != before.received:
                self._clear(port)
        elif now - since > self._settings.stall_seconds:
            self._cause[port] = f"{work.requests} requests have received no token for {now - since:.0f} s"

    def _probe(self, port: int) -> None:
        now = self._clock()
        if now < self._next.get(port, 0):
            return
        try:
            model = read_models(self._settings.models_file).probe
        except (OSError, ValueError, KeyError, TypeError):  # the check of the models reports it
            model = ""
        if not model:
            return
        self._next[port] = now + self._settings.probe_interval_seconds
        body = {"model": model, "prompt": "1", "stream": False, "options": {"num_predict": 1}}
        try:
            self._ask(f"http://127.0.0.1:{port}/api/generate", body, self._settings.probe_limit_seconds)
        except OSError as error:
            taken = self._clock() - now
            self._failures[port] = self._failures.get(port, 0) + 1
            self._next[port] = now  # probe again at the next check: two failures make a cause, one success clears it
            if self._failures[port] >= PROBE_FAILURES:
                self._cause[port] = f"a one-token request failed after {taken:.1f} s: {error}"
            return
        self._seconds[port] = self._clock() - now
        self._clear(port)

    def _clear(self, port: int) -> None:
        self._failures.pop(port, None)
        self._cause.pop(port, None)


def run(command: list[str], seconds: float) -> str:
    """Return a command's output. A command that hangs in the kernel cannot be killed: it is abandoned."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output = process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, output)
    return output.decode(errors="replace")


def free(path: str) -> int:
    """Return the bytes that an unprivileged program can still write."""
    found = os.statvfs(path)
    return min(found.f_bavail * found.f_frsize, shutil.disk_usage(path).free)


def log(step: str, cause: str) -> None:
    host.log("ollama-gpu-health", step, "failed" if cause else "ok", cause)


def keep_looking(check: Check, board: Board, stop: threading.Event) -> None:
    """Repeat a check until stopped. An unexpected exception counts as a failure and does not end the thread."""
    while not stop.is_set():
        try:
            board.record(check.name, check.look())
        except Exception as error:
            board.record(check.name, Outcome(cause=f"{check.name}: {type(error).__name__}: {error}"))
        stop.wait(check.interval)


def keep_telling(board: Board, ports: list[int], stop: threading.Event) -> None:
    """Write a line to the journal whenever a result changes."""
    told: dict[str, str] = {}
    while not stop.wait(1):
        verdicts = {"ready": "; ".join(board.causes()), **{f"ollama-{port}": board.slot(port) for port in ports}}
        for step, cause in verdicts.items():
            kind = re.sub(r"[0-9.]+", "", cause)  # ignore changes of figures in the same cause
            if told.get(step) != kind:
                told[step] = kind
                log(step, cause)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers HTTP, and the one-line requests of HAProxy's agent checks on the same port."""

    board: Board
    chat_models: Callable[[], bytes]
    raw_requestline: bytes
    timeout = 5

    def parse_request(self) -> bool:
        line = self.raw_requestline.decode("latin-1").strip()
        if not line.isdigit():
            return super().parse_request()
        # The space matters: HAProxy rejects "down#cause", the form in its manual, as an unknown word.
        cause = re.sub(r"[^ -~]", " ", self.board.slot(int(line)))[:200]
        self.wfile.write(f"down #{cause}\n".encode() if cause else b"up\n")
        self.close_connection = True
        return False

    def do_GET(self) -> None:
        if self.path == "/ready":
            causes = self.board.causes()
            text = "not ready: " + "; ".join(causes) if causes else "ready"
            self._answer(503 if causes else 200, "text/plain", text + "\n")
        elif self.path == "/details":
            self._answer(200, "application/json", json.dumps(self.board.details(), indent=2) + "\n")
        elif self.path == "/api/tags":
            self._list()
        else:
            self._answer(404, "text/plain", "not found: /ready, /details or /api/tags\n")

    def _list(self) -> None:
        try:
            self._answer(200, "application/json", self.chat_models().decode())
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._answer(503, "application/json", json.dumps({"error": f"cannot list the models: {error}"}))

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: HAProxy sends a request every second. `keep_telling` logs the changes."""

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore closed connections: HAProxy closes a check as soon as it has read the status."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


def checks(settings: Settings) -> list[Check]:
    """Return the checks with their intervals and time limits."""
    ports = len(settings.ollama_ports)
    ask = host.http
    probe = Probe(settings, ask, time.monotonic)
    return [
        Check("models", MODELS_INTERVAL_SECONDS, ports * ANSWER_SECONDS + 5, lambda: look_at_models(settings, ask)),
        Check("gpus", GPUS_INTERVAL_SECONDS, NVIDIA_SMI_SECONDS + 5, lambda: look_at_gpus(settings, run)),
        Check("disk", DISK_INTERVAL_SECONDS, 10, lambda: look_at_disk(settings, free)),
        Check("probe", 5, ANSWER_SECONDS + ports * settings.probe_limit_seconds + 5, probe.look),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=Path)
    options = parser.parse_args()
    settings = Settings(**json.loads(options.settings.read_text(encoding="utf-8")))
    looked_at = checks(settings)
    board = Board(looked_at, settings.ollama_ports, settings.minimum_ollama, time.monotonic)
    stop = threading.Event()
    for check in looked_at:
        threading.Thread(target=keep_looking, args=(check, board, stop), daemon=True).start()
    threading.Thread(target=keep_telling, args=(board, settings.ollama_ports, stop), daemon=True).start()
    if not settings.require_gpu:
        cause = "gateway_require_gpu is false: this host may serve from its CPU"
        host.log("ollama-gpu-health", "require-gpu", "warning", cause)
    listing = staticmethod(lambda: chat_models(settings, host.http))
    handler = type("BoardHandler", (Handler,), {"board": board, "chat_models": listing})
    Server(("127.0.0.1", settings.port), handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
