"""ollama-gpu-model-set: what a running host serves after its environment's set has changed, and what it never does.

The programs that it calls are the real ones. Ollama is played, with what matters here: names lead to manifests, a
process belongs to weights and keeps the name that it was loaded by, and one that works ends only afterwards.
"""

from __future__ import annotations

import fcntl
import hashlib
import http.server
import json
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.unit.collection import programs

PARAMETER = "/ollama-gpu/test/models"
Model = dict[str, Any]


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return programs.load("model_set", "ollama-gpu-model-set")


class Ollama(http.server.BaseHTTPRequestHandler):
    """The part of Ollama's API that the program uses."""

    store: Path
    processes: dict[str, str]  # by weights, the name that loaded the process
    busy: set[str]  # weights of processes that are answering
    ending: set[str]
    refused: set[str]  # names that cannot be loaded
    asked: list[str]

    def do_GET(self) -> None:
        if self.path == "/api/version":
            return self.answer(200, {"version": "0.24.0"})
        listed = [{"name": name, "size": 1, "size_vram": 0} for name in self.processes.values()]
        return self.answer(200, {"models": listed})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = body["model"]
        model, _, tag = name.partition(":")
        file = self.store / "manifests/registry.ollama.ai/library" / model / (tag or "latest")
        if not file.is_file():
            return self.answer(404, {"error": f"model '{name}' not found"})
        self.asked.append(name)
        if name in self.refused:
            return self.answer(500, {"error": "unable to load model"})
        weights = json.loads(file.read_bytes())["layers"][0]["digest"]
        if not (self.store / "blobs" / weights.replace(":", "-")).is_file():
            return self.answer(500, {"error": "no such blob"})
        if body["keep_alive"] == 0:
            self.ending.add(weights)
            self.settle()
        else:
            self.processes.setdefault(weights, name)
        return self.answer(200, {"done": True})

    @classmethod
    def settle(cls) -> None:
        """End the idle processes that should end."""
        for weights in cls.ending - cls.busy:
            cls.processes.pop(weights, None)
        cls.ending &= cls.busy

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class World:
    """A host with one Ollama, the environment's bucket (as a folder) and its parameter."""

    def __init__(self, folder: Path, program: ModuleType) -> None:
        self.folder, self.program = folder, program
        self.bucket, self.store = folder / "bucket", folder / "store"
        for place in (self.bucket / "blobs", self.store / "blobs", self.store / "manifests", folder / "state"):
            place.mkdir(parents=True)
        values = {"store": self.store, "processes": {}, "busy": set(), "ending": set(), "refused": set(), "asked": []}
        self.ollama = type("ThisOllama", (Ollama,), values)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.ollama)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        port = self.server.server_address[1]
        (folder / "0.env").write_text(f"CUDA_VISIBLE_DEVICES=-1\nOLLAMA_HOST=127.0.0.1:{port}\n", encoding="utf-8")
        (folder / "models.map").write_text("# A request's model\n", encoding="utf-8")
        instance = {"region": "us-east-1", "parameters": {"models": PARAMETER}}
        (folder / "instance.json").write_text(json.dumps(instance), encoding="utf-8")
        settings = {
            "boot_lock": str(folder / "boot" / "lock"),
            "gateway_names": str(folder / "models.map"),
            "gateway_socket": str(folder / "admin.sock"),
            "gpus": [""],
            "instance": str(folder / "instance.json"),
            "instance_program": self.script("instance", "ollama", "ollama-gpu-instance", f"--settings {folder}"),
            "ports": [port],
            "s3_endpoint": "",
            "set_file": str(folder / "models.json"),
            "source": str(self.bucket),
            "state": str(folder / "state"),
            "store": str(self.store),
            "store_program": self.script("store", "model_store", "ollama-gpu-models", ""),
        }
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    def script(self, name: str, role: str, program: str, options: str) -> str:
        path = self.folder / f"run-{name}"
        real = shlex.join(programs.command(role, program))
        path.write_text(f'#!/bin/sh\nexec {real} "$@" {options}\n', encoding="utf-8")
        path.chmod(0o755)
        if name == "store":  # arguments after "--" are models
            path.write_text(f'#!/bin/sh\nexec {real} "$@"\n', encoding="utf-8")
        return str(path)

    def model(self, name: str, weights: bytes, **more: Any) -> Model:
        """Create a model in the bucket, as the command does."""
        layers = [self._blob(self.bucket, weights), self._blob(self.bucket, f"license of {name}".encode())]
        config = self._blob(self.bucket, b"{}")
        content = json.dumps({"config": config, "layers": layers}).encode()
        manifest = self._blob(self.bucket, content)
        return {"name": name, "digest": manifest["digest"], "weights": layers[0]["digest"], **more}

    def serve(self, *models: Model) -> None:
        """Make the host serve these models, as after a boot."""
        for model in models:
            content = (self.bucket / "blobs" / model["digest"].replace(":", "-")).read_bytes()
            manifest = json.loads(content)
            for blob in [manifest["config"], *manifest["layers"]]:
                name = blob["digest"].replace(":", "-")
                (self.store / "blobs" / name).write_bytes((self.bucket / "blobs" / name).read_bytes())
            self.manifest(model["name"]).parent.mkdir(parents=True, exist_ok=True)
            self.manifest(model["name"]).write_bytes(content)
            self.ollama.processes.setdefault(model["weights"], model["name"])
        (self.folder / "models.json").write_text(json.dumps({"models": models, "formerly": []}), encoding="utf-8")

    def want(self, *models: Model) -> None:
        client = boto3.client("ssm", region_name="us-east-1")
        client.put_parameter(Name=PARAMETER, Value=json.dumps({"models": models}), Type="String", Overwrite=True)

    def run(self) -> int:
        status: int = self.program.main(["--settings", str(self.folder / "settings.json")])
        return status

    def manifest(self, name: str) -> Path:
        model, _, tag = name.partition(":")
        return self.store / "manifests/registry.ollama.ai/library" / model / (tag or "latest")

    @property
    def offered(self) -> set[str]:
        """Return the names that Ollama would list."""
        files = self.store.glob("manifests/*/*/*/*")
        return {f"{file.parent.name}:{file.name}" for file in files if not file.name.startswith(".")}

    @property
    def served(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "models.json").read_text(encoding="utf-8"))
        return found

    @staticmethod
    def _blob(store: Path, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (store / "blobs" / f"sha256-{digest}").write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, program: ModuleType) -> list[dict[str, str]]:
    """The names that the gateway received. test_gateway uses a real gateway."""
    said: list[dict[str, str]] = []
    monkeypatch.setattr(program.Host, "tell_gateway", lambda _, names: said.append(dict(names)))
    return said


@pytest.fixture
def world(
    tmp_path: Path, program: ModuleType, told: list[dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        made = World(tmp_path, program)
        yield made
        made.server.shutdown()
        made.server.server_close()


def test_served_set_changes_nothing_and_is_logged_once(world: World, capsys: Any) -> None:
    first = world.model("gemma3:270m", b"weights")
    world.serve(first)
    world.want(first)
    (world.folder / "run-store").unlink()
    assert (world.run(), world.run()) == (0, 0)
    assert capsys.readouterr().out == f"ollama-gpu-model-set: serves gemma3:270m@{first['digest'][7:19]}\n"


def test_new_model_is_copied_and_loaded_before_it_is_served(world: World, told: list[dict[str, str]]) -> None:
    first, second = world.model("gemma3:270m", b"weights"), world.model("Other", b"other")
    world.serve(first)
    world.want(first, second)
    assert world.run() == 0
    assert world.offered == {"gemma3:270m", "Other:latest"}
    assert world.ollama.processes == {first["weights"]: "gemma3:270m", second["weights"]: "Other:latest"}
    assert world.served["models"] == [first, second]
    assert told == [{"gemma3:270m": "gemma3:270m", "other": "other"}]


def test_removed_model_is_withdrawn_and_unloads_after_its_last_answer(world: World) -> None:
    first, second = world.model("gemma3:270m", b"weights"), world.model("other:1b", b"other")
    world.serve(first, second)
    world.want(first)
    world.ollama.busy = {second["weights"]}
    assert world.run() == 0
    assert world.offered == {"gemma3:270m"}
    assert second["weights"] in world.ollama.processes, "an answer is still running"
    world.ollama.busy = set()
    world.ollama.settle()
    assert world.ollama.processes == {first["weights"]: "gemma3:270m"}
    blobs = {file.name for file in (world.store / "blobs").iterdir()}
    assert second["weights"].replace(":", "-") not in blobs, "its file is removed from the disk"
    assert first["weights"].replace(":", "-") in blobs


def test_new_digest_is_loaded_before_the_old_one_unloads(world: World) -> None:
    old, new = world.model("gemma3:270m", b"weights"), world.model("gemma3:270m", b"newer")
    world.serve(old)
    world.want(new)
    world.ollama.busy = {old["weights"]}
    assert world.run() == 0
    assert world.ollama.processes == dict.fromkeys((old["weights"], new["weights"]), "gemma3:270m")
    world.ollama.busy = set()
    world.ollama.settle()
    assert list(world.ollama.processes) == [new["weights"]]
    assert world.offered == {"gemma3:270m"}
    assert hashlib.sha256(world.manifest("gemma3:270m").read_bytes()).hexdigest() == new["digest"][7:]


def test_weights_that_another_name_still_has_stay_loaded(world: World) -> None:
    first, copy = world.model("gemma3:270m", b"weights"), world.model("copy:1b", b"weights")
    world.serve(first)
    world.want(first, copy)
    assert world.run() == 0
    assert world.ollama.processes == {first["weights"]: "gemma3:270m"}, "the copy shares the process"
    world.want(copy)
    assert world.run() == 0
    assert world.offered == {"copy:1b"}
    assert world.ollama.processes == {first["weights"]: "gemma3:270m"}, "the process keeps the name that loaded it"
    assert world.served["formerly"] == [first]
    world.want(first, copy)
    assert world.run() == 0
    assert world.served["formerly"] == []


def test_model_that_fails_to_load_keeps_the_served_set(
    world: World, capsys: Any, program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, broken = (world.model(name, name.encode()) for name in ("gemma3:270m", "other:1b", "broken:1b"))
    world.serve(first)
    world.want(first, second, broken)
    world.ollama.refused = {"broken:1b"}
    assert (world.run(), world.run()) == (1, 1)
    assert world.ollama.asked.count("broken:1b") == 1, "it is not retried at every run"
    assert world.offered == {"gemma3:270m"}, "Ollama would load it at the first request"
    assert world.ollama.processes == {first["weights"]: "gemma3:270m"}
    assert world.served["models"] == [first]
    said = capsys.readouterr().out
    assert said.count("failed: ") == 1, "the same message is not repeated at every run"
    assert "unable to load model" in said
    world.ollama.refused = set()
    monkeypatch.setattr(program, "AGAIN_SECONDS", 0)
    assert world.run() == 0
    assert world.offered == {"gemma3:270m", "other:1b", "broken:1b"}


def test_digest_that_fails_to_load_keeps_the_old_one(world: World) -> None:
    old, new = world.model("gemma3:270m", b"weights"), world.model("gemma3:270m", b"newer")
    other = world.model("other:1b", b"other")
    world.serve(old)
    world.want(new, other)
    world.ollama.refused = {"other:1b"}
    assert world.run() == 1
    assert hashlib.sha256(world.manifest("gemma3:270m").read_bytes()).hexdigest() == old["digest"][7:]
    assert world.ollama.processes == {old["weights"]: "gemma3:270m"}


def test_model_missing_in_the_bucket_keeps_the_served_set(world: World, capsys: Any) -> None:
    first, second = world.model("gemma3:270m", b"weights"), world.model("other:1b", b"other")
    world.serve(first)
    world.want(first, second)
    (world.bucket / "blobs" / second["weights"].replace(":", "-")).unlink()
    assert world.run() == 1
    assert (world.offered, world.served["models"]) == ({"gemma3:270m"}, [first])
    assert "has no blobs/" in capsys.readouterr().out


def test_model_that_does_not_fit_is_never_loaded(world: World, capsys: Any) -> None:
    first = world.model("gemma3:270m", b"weights")
    large = world.model("large:70b", b"large", memory_bytes=1 << 60)
    world.serve(first)
    world.want(first, large)
    assert world.run() == 1
    assert "large:70b need 1073741824.00 GiB and the memory has" in capsys.readouterr().out
    assert world.offered == {"gemma3:270m"}
    assert world.ollama.processes == {first["weights"]: "gemma3:270m"}


def test_new_name_of_loaded_weights_needs_no_memory(world: World) -> None:
    first = world.model("gemma3:270m", b"weights")
    copy = world.model("copy:1b", b"weights", memory_bytes=1 << 60)
    world.serve(first)
    world.want(first, copy)
    assert world.run() == 0


@pytest.mark.parametrize("value", ["{", "[]", '{"models": []}', '{"models": [{"name": "a"}]}', '{"models": ["a"]}'])
def test_invalid_parameter_changes_nothing(world: World, capsys: Any, value: str) -> None:
    first = world.model("gemma3:270m", b"weights")
    world.serve(first)
    client = boto3.client("ssm", region_name="us-east-1")
    client.put_parameter(Name=PARAMETER, Value=value, Type="String")
    assert world.run() == 1
    assert f"The parameter {PARAMETER} does not contain a model set" in capsys.readouterr().out
    assert (world.offered, world.served["models"]) == ({"gemma3:270m"}, [first])


def test_missing_parameter_changes_nothing(world: World, capsys: Any) -> None:
    world.serve(world.model("gemma3:270m", b"weights"))
    assert world.run() == 1
    assert f"The parameter {PARAMETER} cannot be read: " in capsys.readouterr().out


def test_nothing_happens_during_a_boot(world: World) -> None:
    first, second = world.model("gemma3:270m", b"weights"), world.model("other:1b", b"other")
    world.serve(first)
    world.want(first, second)
    (world.folder / "boot").mkdir()
    with (world.folder / "boot" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert world.run() == 0
        assert world.offered == {"gemma3:270m"}
    assert world.run() == 0
    assert world.offered == {"gemma3:270m", "other:1b"}
