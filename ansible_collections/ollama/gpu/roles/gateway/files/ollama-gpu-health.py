#!/usr/bin/env python3
"""Readiness of one instance: what the gateway's own checks cannot see.

GET /ready answers 200, or 503 with the causes; GET /details is the same as JSON with every figure. A line that is an
Ollama's port, as HAProxy's agent checks send it, is answered "up" or "down #cause". GET /api/tags is Ollama's list of
models without those that only embed, for only this service knows which they are. Loopback only.
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
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODELS_INTERVAL_SECONDS = 5
GPUS_INTERVAL_SECONDS = 15
DISK_INTERVAL_SECONDS = 15
ANSWER_SECONDS = 3  # /api/ps and the gateway's figures answer in milliseconds, even under load
NVIDIA_SMI_SECONDS = 10  # 1 s with the persistence daemon; a GPU that has fallen off the bus can hang it
PROBE_FAILURES = 2  # one slow probe is a hiccup

Ask = Callable[[str, "dict[str, Any] | None", float], bytes]
Run = Callable[[list[str], float], str]


@dataclass(frozen=True)
class Settings:
    """The file that the role writes; durations in seconds, sizes in MiB."""

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
    """The models that this host serves: their names, and what is behind every name that a process may go by."""

    names: list[str]
    weights: Mapping[str, str]  # two models of the same weights share a process, which has one name
    probe: str  # whom to ask for a token; empty where all models only embed
    embedders: frozenset[str]  # full names of those that only embed


def read_models(file: str) -> Served:
    """Read anew at every look, for the set changes while this service runs. Raises OSError, ValueError, KeyError."""
    found = json.loads(Path(file).read_text(encoding="utf-8"))
    models = found["models"]
    known = [*found.get("formerly", []), *models]
    return Served(
        names=[str(model["name"]) for model in models],
        weights={full_name(model["name"]): model.get("weights") or model["digest"] for model in known},
        probe=next((str(model["name"]) for model in models if not model.get("embeds")), ""),
        embedders=frozenset(full_name(model["name"]) for model in known if model.get("embeds")),
    )


def full_name(name: str) -> str:
    return name.lower() if ":" in name else f"{name.lower()}:latest"


@dataclass(frozen=True)
class Outcome:
    """What one look found: no cause is well; `slots` holds the cause of each Ollama port that should take no chat."""

    cause: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    slots: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    name: str
    interval: float
    patience: float  # a look that takes longer than this has failed, even when it never comes back
    look: Callable[[], Outcome]


class Board:
    """The latest outcome of every check, and the verdict that follows from them."""

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
        """Every check's outcome; one that is too old counts as a failure."""
        now = self._clock()
        with self._lock:
            latest = dict(self._latest)
        found = {}
        for name, check in self._checks.items():
            if name not in latest:
                found[name] = Outcome(cause=f"{name} was not looked at yet")
                continue
            seen, outcome = latest[name]
            age = now - seen
            late = age > check.interval + check.patience
            found[name] = Outcome(cause=f"{name} has not answered for {age:.0f} s") if late else outcome
        return found

    def slot(self, port: int) -> str:
        """Why the Ollama on this port should take no chat; empty when it may."""
        causes = (outcome.slots.get(port, "") for outcome in self.outcomes().values())
        return next((cause for cause in causes if cause), "")

    def causes(self) -> list[str]:
        """Why this instance is not ready; empty when it is."""
        outcomes = self.outcomes()
        found = [outcome.cause for outcome in outcomes.values() if outcome.cause]
        bad = {port: cause for port in self._ports if (cause := self.slot(port))}
        if len(self._ports) - len(bad) < self._minimum:
            found.append(
                f"{len(self._ports) - len(bad)} of {len(self._ports)} Ollama serve, at least {self._minimum} must: "
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
    """Every model must be resident in every Ollama and, where a GPU is required, wholly on it (size_vram == size)."""
    slots: dict[int, str] = {}
    seen: dict[str, Any] = {}
    try:
        served = read_models(settings.models_file)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Outcome(cause=f"{settings.models_file} does not say which models are served: {error!r}")
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
    """Ollama's answer to /api/tags without the models that only embed: nobody can chat with them.

    All of one store, so the first Ollama that answers will do. Raises OSError and ValueError when none does.
    """
    embedders = read_models(settings.models_file).embedders
    failure: OSError = ConnectionError("no Ollama is set up here")
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
    """Every GPU that an Ollama uses must answer the driver."""
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
        cause = f"{len(answering)} GPUs answer, {len(settings.ollama_ports)} are used"
        return Outcome(cause=cause, details=details)
    return Outcome(details=details)


def reason(error: Exception) -> str:
    """A failed command in a few words: its last line of output when it has one."""
    output = getattr(error, "stderr", None) or getattr(error, "stdout", None) or ""
    lines = output.decode(errors="replace") if isinstance(output, bytes) else output
    said = lines.strip().splitlines()
    return said[-1] if said else str(error)


def look_at_disk(settings: Settings, free: Callable[[str], int]) -> Outcome:
    """Below the reserve nothing can be written any more: no log, no upload, no container."""
    room = {}
    causes = []
    for path in settings.disk_paths:
        try:
            room[path] = free(path) // (1 << 20)
        except OSError as error:
            causes.append(f"{path} cannot be read: {error.strerror}")
            continue
        if room[path] < settings.disk_reserve_mib:
            causes.append(f"{path} has {room[path]} MiB left, {settings.disk_reserve_mib} MiB are needed")
    return Outcome(cause="; ".join(causes), details={"free_mib": room})


@dataclass(frozen=True)
class Work:
    """What the gateway has running on one Ollama, and how many bytes it has had from it so far."""

    requests: int
    received: int


FIGURE = re.compile(
    r'^haproxy_server_(?P<what>current_sessions|bytes_out_total)\{proxy="(?:ollama|embeddings)",server="gpu(?P<index>\d+)"[^}]*\}'
    r" (?P<value>[0-9.e+]+)",
    re.MULTILINE,
)


def read_figures(page: str, ports: list[int]) -> dict[int, Work]:
    """Requests and bytes of each Ollama's port, both lanes together, from the gateway's Prometheus page."""
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
    """A one-token request when an Ollama is idle; when it is busy, its streams must move.

    A busy GPU is never probed: the probe would wait for a slot or take one, and running streams tell more.
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
            # Without the gateway nobody knows what is idle; the gateway's own failure is seen by the load balancer.
            return Outcome(details={"skipped": f"the gateway's figures cannot be read: {error}"})
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
            self._cause[port] = f"{work.requests} requests have had no token for {now - since:.0f} s"

    def _probe(self, port: int) -> None:
        now = self._clock()
        if now < self._next.get(port, 0):
            return
        try:
            model = read_models(self._settings.models_file).probe
        except (OSError, ValueError, KeyError, TypeError):  # the look at the models says so
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
            self._next[port] = now  # again at the next look: two failures make a cause, and one success ends it
            if self._failures[port] >= PROBE_FAILURES:
                self._cause[port] = f"a one-token request failed after {taken:.1f} s: {error}"
            return
        self._seconds[port] = self._clock() - now
        self._clear(port)

    def _clear(self, port: int) -> None:
        self._failures.pop(port, None)
        self._cause.pop(port, None)


def ask(url: str, body: dict[str, Any] | None, seconds: float) -> bytes:
    """The whole answer within so many seconds, else an OSError (urllib's timeout alone bounds single reads)."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:  # noqa: S310 (loopback)
            answer: bytes = response.read()
            return answer
    except urllib.error.HTTPError as error:
        raise OSError(f"status {error.code}: {error.read(200).decode(errors='replace').strip()}") from error


def run(command: list[str], seconds: float) -> str:
    """Output of a command. One that hangs in the kernel cannot be killed: it is left alone, and the look has failed."""
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
    """Bytes that a program without rights may still write."""
    found = os.statvfs(path)
    return min(found.f_bavail * found.f_frsize, shutil.disk_usage(path).free)


def log(step: str, cause: str) -> None:
    result = f'failed cause="{cause}"' if cause else "ok"
    print(f"ollama-gpu-health: step={step} result={result}", flush=True)


def keep_looking(check: Check, board: Board, stop: threading.Event) -> None:
    """Look for ever; a look that raises something unforeseen is a failure, not the end of the thread."""
    while not stop.is_set():
        try:
            board.record(check.name, check.look())
        except Exception as error:
            board.record(check.name, Outcome(cause=f"{check.name}: {type(error).__name__}: {error}"))
        stop.wait(check.interval)


def keep_telling(board: Board, ports: list[int], stop: threading.Event) -> None:
    """A line for the journal whenever a verdict changes."""
    told: dict[str, str] = {}
    while not stop.wait(1):
        verdicts = {"ready": "; ".join(board.causes()), **{f"ollama-{port}": board.slot(port) for port in ports}}
        for step, cause in verdicts.items():
            kind = re.sub(r"[0-9.]+", "", cause)  # the same cause with other figures is no news
            if told.get(step) != kind:
                told[step] = kind
                log(step, cause)


class Handler(http.server.BaseHTTPRequestHandler):
    """HTTP, and one-line questions of HAProxy's agent checks on the same port."""

    board: Board
    chat_models: Callable[[], bytes]
    raw_requestline: bytes
    timeout = 5

    def parse_request(self) -> bool:
        line = self.raw_requestline.decode("latin-1").strip()
        if not line.isdigit():
            return super().parse_request()
        # The space matters: HAProxy takes "down#cause", as its manual writes it, for an unknown word.
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
            self._answer(503, "application/json", json.dumps({"error": f"no list of models: {error}"}))

    def log_message(self, format: str, *args: object) -> None:
        """HAProxy asks every second: only changes of the verdict are worth a line."""

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """HAProxy closes a check as soon as it has read the status: that is no error."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


def checks(settings: Settings) -> list[Check]:
    """What is looked at, how often, and how long one look may take."""
    ports = len(settings.ollama_ports)
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
        print(f'ollama-gpu-health: step=require-gpu result=warning cause="{cause}"', flush=True)
    listing = staticmethod(lambda: chat_models(settings, ask))
    handler = type("BoardHandler", (Handler,), {"board": board, "chat_models": listing})
    Server(("127.0.0.1", settings.port), handler).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
