"""ollama-gpu-health: an instance is ready only while all of its own checks pass."""

from __future__ import annotations

import atexit
import dataclasses
import hashlib
import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.unit.collection import programs

health: Any = programs.load("gateway", "ollama-gpu-health")

FOLDER = Path(tempfile.mkdtemp(prefix="test-health-"))
atexit.register(shutil.rmtree, FOLDER)


def served(*models: str | dict[str, Any], formerly: tuple[dict[str, Any], ...] = ()) -> str:
    """Write the file of a set. A model that is only a name has its own weights."""
    whole = [each if isinstance(each, dict) else {"name": each, "digest": f"sha256:{each}"} for each in models]
    text = json.dumps({"models": whole, "formerly": formerly})
    file = FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    file.write_text(text, encoding="utf-8")
    return str(file)


SETTINGS = health.Settings(
    disk_paths=["/"],
    disk_reserve_mib=512,
    figures="http://figures/metrics",
    gpus=["GPU-a", "GPU-b"],
    minimum_ollama=1,
    models_file=served("gemma3:270m"),
    ollama_ports=[11500, 11501],
    port=8406,
    probe_interval_seconds=30,
    probe_limit_seconds=4.0,
    require_gpu=True,
    stall_seconds=120,
)


def changed(**values: Any) -> Any:
    return dataclasses.replace(SETTINGS, **values)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# The model


def loaded(**models: int) -> Callable[..., bytes]:
    """Return answers of Ollama with these models, each with a number of its 100 bytes on the GPU."""
    listed = [{"name": name.replace("_", ":"), "size": 100, "size_vram": vram} for name, vram in models.items()]
    return lambda *_: json.dumps({"models": listed}).encode()


def test_model_fully_on_its_gpu_passes() -> None:
    assert health.look_at_models(SETTINGS, loaded(gemma3_270m=100)).slots == {}


def test_model_partly_on_the_cpu_takes_its_ollama_out() -> None:
    slots = health.look_at_models(SETTINGS, loaded(gemma3_270m=40)).slots
    assert slots == dict.fromkeys([11500, 11501], "only 40 % of gemma3:270m is on the GPU")


def test_without_a_required_gpu_a_model_may_be_on_the_cpu() -> None:
    assert health.look_at_models(changed(require_gpu=False), loaded(gemma3_270m=0)).slots == {}


def test_missing_model_takes_its_ollama_out() -> None:
    slots = health.look_at_models(SETTINGS, loaded(other_1b=100)).slots
    assert slots[11500] == "gemma3:270m is not loaded"


def test_a_model_without_a_tag_is_the_latest() -> None:
    assert health.look_at_models(changed(models_file=served("Llama3")), loaded(llama3_latest=100)).slots == {}


def model(name: str, weights: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "digest": f"sha256:{name}", "weights": weights, **more}


def test_two_models_of_the_same_weights_share_a_process() -> None:
    both = changed(models_file=served(model("gemma3:270m", "w"), model("copy:1b", "w")))
    assert health.look_at_models(both, loaded(gemma3_270m=100)).slots == {}
    assert health.look_at_models(both, loaded(copy_1b=40)).slots[11500] == "only 40 % of copy:1b is on the GPU"


def test_process_may_have_a_name_that_is_no_longer_served() -> None:
    gone = model("copy:1b", "w")
    left = changed(models_file=served(model("gemma3:270m", "w"), formerly=(gone,)))
    assert health.look_at_models(left, loaded(copy_1b=100)).slots == {}
    alone = changed(models_file=served(model("gemma3:270m", "w")))
    assert health.look_at_models(alone, loaded(copy_1b=100)).slots[11500] == "gemma3:270m is not loaded"


def test_the_set_may_change_while_the_service_runs(tmp_path: Path) -> None:
    file = tmp_path / "models.json"
    shutil.copy(served("gemma3:270m"), file)
    following = changed(models_file=str(file))
    assert health.look_at_models(following, loaded(gemma3_270m=100)).slots == {}
    shutil.copy(served("gemma3:270m", "other:1b"), file)
    assert health.look_at_models(following, loaded(gemma3_270m=100)).slots[11500] == "other:1b is not loaded"


@pytest.mark.parametrize("text", ["", "[]", '{"models": [{"name": "a"}]}'])
def test_a_set_that_cannot_be_read_is_a_cause(tmp_path: Path, text: str) -> None:
    file = tmp_path / "models.json"
    file.write_text(text, encoding="utf-8")
    outcome = health.look_at_models(changed(models_file=str(file)), loaded(gemma3_270m=100))
    assert "does not list the served models" in outcome.cause


def test_embedding_models_are_not_listed() -> None:
    mixed = changed(models_file=served("gemma3:270m", model("Embedder", "e", embeds=True)))
    said = {"models": [{"name": "gemma3:270m", "size": 1}, {"name": "embedder:latest"}, {"name": "older:1b"}]}

    def ask(url: str, body: object, seconds: float) -> bytes:
        if ":11500/" in url:
            raise ConnectionRefusedError("refused")
        return json.dumps(said).encode()

    listed = json.loads(health.chat_models(mixed, ask))
    assert listed == {"models": [{"name": "gemma3:270m", "size": 1}, {"name": "older:1b"}]}


def test_failed_list_is_an_error_not_an_empty_list() -> None:
    def ask(url: str, body: object, seconds: float) -> bytes:
        raise ConnectionRefusedError("refused")

    with pytest.raises(OSError, match="refused"):
        health.chat_models(SETTINGS, ask)


def test_only_an_ollama_that_does_not_answer_is_taken_out() -> None:
    def ask(url: str, body: object, seconds: float) -> bytes:
        if ":11501/" in url:
            raise ConnectionRefusedError("refused")
        answer: bytes = loaded(gemma3_270m=100)()
        return answer

    assert health.look_at_models(SETTINGS, ask).slots == {11501: "Ollama does not answer: refused"}


@pytest.mark.parametrize("answer", [b"", b"{", b"[]", b'{"models": [{"nonsense": 1}]}', b'{"models": null}'])
def test_invalid_list_of_models_takes_an_ollama_out(answer: bytes) -> None:
    assert set(health.look_at_models(SETTINGS, lambda *_: answer).slots) == {11500, 11501}


# The GPUs


def test_every_gpu_must_answer() -> None:
    assert health.look_at_gpus(SETTINGS, lambda *_: "GPU-a\nGPU-b\n") == health.Outcome(
        details={"required": True, "answering": ["GPU-a", "GPU-b"]}
    )
    assert health.look_at_gpus(SETTINGS, lambda *_: "GPU-a\n").slots == {11501: "GPU GPU-b does not answer"}


def test_without_uuids_the_number_of_gpus_must_match() -> None:
    assert health.look_at_gpus(changed(gpus=[]), lambda *_: "GPU-x\n").cause == "1 GPUs answer, 2 are required"


def test_driver_failure_is_reported_with_its_last_line() -> None:
    def run(command: list[str], seconds: float) -> str:
        words = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
        return str(health.run(["sh", "-c", f'echo "{words}"; exit 9'], seconds))

    cause = health.look_at_gpus(SETTINGS, run).cause
    assert cause.startswith("the GPU driver does not answer: NVIDIA-SMI has failed because")


def test_hanging_driver_is_abandoned() -> None:
    outcome = health.look_at_gpus(SETTINGS, lambda *_: health.run(["sleep", "3600"], 0.2))
    assert "timed out" in outcome.cause


def test_a_host_without_nvidia_smi_is_not_ready_unless_it_needs_no_gpu() -> None:
    def missing(command: list[str], seconds: float) -> str:
        return str(health.run(["/nonexistent/nvidia-smi"], seconds))

    assert "No such file" in health.look_at_gpus(SETTINGS, missing).cause
    assert health.look_at_gpus(changed(require_gpu=False), missing).cause == ""


# The disk


def test_full_disk_is_reported_with_free_and_required_space() -> None:
    assert health.look_at_disk(SETTINGS, lambda _: 600 << 20).cause == ""
    assert health.look_at_disk(SETTINGS, lambda _: 100 << 20).cause == "/ has 100 MiB free, 512 MiB are required"


def test_missing_disk_is_a_cause() -> None:
    assert health.look_at_disk(changed(disk_paths=["/nonexistent"]), health.free).cause != ""


# The probe


def page(*work: tuple[int, int]) -> str:
    """Return the gateway's metrics: requests and bytes of each Ollama's chats. Embeddings are idle."""
    lines = ["# TYPE haproxy_server_current_sessions gauge"]
    for index, (requests, received) in enumerate(work):
        for proxy, values in (("ollama", (requests, received)), ("embeddings", (0, 0)), ("listings", (7, 9))):
            labels = f'{{proxy="{proxy}",server="gpu{index}"}}'
            lines.append(f"haproxy_server_current_sessions{labels} {values[0]}")
            lines.append(f"haproxy_server_bytes_out_total{labels} {values[1]}")
    return "\n".join(lines)


class World:
    """Simulates the gateway's metrics and Ollama, and records the probes."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.figures = page((0, 0), (0, 0))
        self.slow = 0.0
        self.probed: list[str] = []

    def ask(self, url: str, body: dict[str, Any] | None, seconds: float) -> bytes:
        if url == SETTINGS.figures:
            return self.figures.encode()
        assert body is not None
        assert body["options"] == {"num_predict": 1}  # any runner option would reload the model
        self.probed.append(url)
        self.clock.now += min(self.slow, seconds)
        if self.slow > seconds:
            raise TimeoutError("timed out")
        return b"{}"


@pytest.fixture
def world() -> World:
    return World(Clock())


@pytest.fixture
def probe(world: World) -> Any:
    return health.Probe(SETTINGS, world.ask, world.clock)


def test_idle_ollama_is_probed_at_the_interval(world: World, probe: Any) -> None:
    for _ in range(4):
        assert probe.look().slots == {}
        world.clock.now += 10
    assert len(world.probed) == 4  # at 0 and at 30 seconds, on both


def test_a_model_that_only_embeds_is_not_asked_for_a_token(world: World) -> None:
    embedder = model("embedder", "e", embeds=True)
    only = health.Probe(changed(models_file=served(embedder)), world.ask, world.clock)
    assert (only.look().slots, world.probed) == ({}, [])
    beside = health.Probe(changed(models_file=served(embedder, "gemma3:270m")), world.ask, world.clock)
    beside.look()
    assert len(world.probed) == 2


def test_a_busy_ollama_is_not_probed(world: World, probe: Any) -> None:
    world.figures = page((2, 500), (0, 0))
    probe.look()
    assert [url for url in world.probed if ":11500/" in url] == []
    assert [url for url in world.probed if ":11501/" in url] != []


def test_two_slow_probes_are_a_cause_until_a_fast_one(world: World, probe: Any) -> None:
    world.slow = 9
    assert probe.look().slots == {}
    assert "failed after 4.0 s" in probe.look().slots[11500]
    world.slow = 0.1
    assert probe.look().slots == {}


def test_stalled_streams_are_a_cause_until_they_progress(world: World, probe: Any) -> None:
    world.figures = page((2, 500), (0, 0))
    probe.look()
    world.clock.now += 119
    assert 11500 not in probe.look().slots
    world.clock.now += 2
    assert probe.look().slots[11500] == "2 requests have received no token for 121 s"
    world.figures = page((2, 501), (0, 0))
    assert probe.look().slots == {}


def test_without_gateway_metrics_nothing_is_probed_or_failed(world: World, probe: Any) -> None:
    world.figures = "no figures"
    assert probe.look().slots == {}
    assert world.probed == []


# The readiness


def board(clock: Clock, *names: str) -> Any:
    checks = [health.Check(name, 5, 10, lambda: health.Outcome()) for name in names]
    return health.Board(checks, [11500, 11501], 1, clock)


def test_instance_is_not_ready_before_every_check_ran() -> None:
    clock = Clock()
    tried = board(clock, "models", "disk")
    tried.record("models", health.Outcome())
    assert tried.causes() == ["disk was not checked yet"]
    tried.record("disk", health.Outcome())
    assert tried.causes() == []


def test_check_that_never_returns_is_a_cause() -> None:
    clock = Clock()
    tried = board(clock, "gpus")
    tried.record("gpus", health.Outcome())
    clock.now += 16
    assert tried.causes() == ["gpus has not answered for 16 s"]


def test_an_instance_stays_ready_while_enough_ollama_serve() -> None:
    tried = board(Clock(), "models", "gpus")
    tried.record("models", health.Outcome(slots={11500: "gemma3:270m is not loaded"}))
    tried.record("gpus", health.Outcome())
    assert tried.causes() == []
    assert tried.slot(11500) == "gemma3:270m is not loaded"
    tried.record("gpus", health.Outcome(slots={11501: "GPU GPU-b does not answer"}))
    assert len(tried.causes()) == 1
    assert tried.causes()[0].startswith("0 of 2 Ollama serve, 1 are required")


def test_unexpected_exception_of_a_check_is_a_cause() -> None:
    def broken() -> Any:
        raise RuntimeError("unforeseen")

    tried = board(Clock(), "disk")
    stop = threading.Event()
    check = health.Check("disk", 0.01, 10, broken)
    thread = threading.Thread(target=health.keep_looking, args=(check, tried, stop))
    thread.start()
    deadline = time.monotonic() + 5
    while tried.causes() != ["disk: RuntimeError: unforeseen"]:
        assert time.monotonic() < deadline
    assert thread.is_alive()
    stop.set()
    thread.join(5)


# The program


class Ollama(BaseHTTPRequestHandler):
    models: Any = ()

    def log_message(self, format: str, *args: object) -> None:
        """Do not log."""

    def do_GET(self) -> None:
        self._answer({"models": self.models} if self.path in ("/api/ps", "/api/tags") else {})

    def do_POST(self) -> None:
        self._answer({})

    def _answer(self, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclasses.dataclass
class Running:
    port: int
    ollama: int
    handler: type[Ollama]

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def until(self, status: int) -> str:
        deadline = time.monotonic() + 20
        while (answer := self.get("/ready"))[0] != status:
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
        return answer[1]

    def agent(self, line: str) -> str:
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(line.encode() + b"\n")
            return connection.recv(1000).decode()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    handler = type("ThisOllama", (Ollama,), {"models": [{"name": "gemma3:270m", "size": 100, "size_vram": 0}]})
    ollama = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=ollama.serve_forever, daemon=True).start()
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    settings = changed(
        port=port, ollama_ports=[ollama.server_port], gpus=[], require_gpu=False, figures="http://127.0.0.1:9/metrics"
    )
    (tmp_path / "health.json").write_text(json.dumps(dataclasses.asdict(settings)))
    process = subprocess.Popen([*programs.command("gateway", "ollama-gpu-health"), str(tmp_path / "health.json")])
    try:
        yield Running(port, ollama.server_port, handler)
    finally:
        process.terminate()
        process.wait(10)
        ollama.shutdown()
        ollama.server_close()


def test_the_program_answers_ready_details_and_haproxys_agent_and_nothing_else(running: Running) -> None:
    running.until(200)
    assert running.get("/ready") == (200, "ready\n")
    details = json.loads(running.get("/details")[1])
    assert details["ready"] is True
    assert details["ollama"] == {str(running.ollama): "up"}
    assert running.agent(str(running.ollama)) == "up\n"
    assert json.loads(running.get("/api/tags")[1])["models"] == list(running.handler.models)
    assert running.get("/")[0] == 404


def test_program_reports_the_causes(running: Running) -> None:
    running.until(200)
    running.handler.models = []
    assert "gemma3:270m is not loaded" in running.until(503)
    assert running.agent(str(running.ollama)) == "down #gemma3:270m is not loaded\n"
