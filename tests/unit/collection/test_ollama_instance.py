"""ollama-gpu-instance: when an instance of Ollama may serve, and the errors when it may not.

Ollama's answers are scripted, because a model partly on a GPU needs a GPU. The lab's tests use a real Ollama.
"""

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.unit.collection import programs

GPU = "GPU-2f0e7c9b-5a51-4c8e-8c60-3a8d1b1f3d2a"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    return programs.load("ollama", "ollama-gpu-instance")


class Api(http.server.BaseHTTPRequestHandler):
    """The part of Ollama's API that the program uses."""

    version = "0.24.0"
    loaded: list[dict[str, Any]]
    embeds_only: bool
    requests: list[tuple[str, dict[str, Any]]]

    def do_GET(self) -> None:
        self.answer({"version": self.version} if self.path == "/api/version" else {"models": self.loaded})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).requests.append((self.path, body))
        if body["model"] == "missing:1b":
            self.answer({"error": "model 'missing:1b' not found"}, 404)
        elif self.embeds_only and self.path == "/api/generate":
            self.answer({"error": f'"{body["model"]}" does not support generate'}, 400)
        else:
            self.answer({"response": "", "done": True})

    def answer(self, body: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[tuple[type[Api], str]]:
    handler = type("ThisApi", (Api,), {"loaded": [], "embeds_only": False, "requests": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield handler, f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that contains only the test's own programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def script(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(program: ModuleType, tmp_path: Path, api: tuple[type[Api], str], capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a verb for an instance with these settings. Returns the exit status and the output."""

    def run(
        verb: str, *flags: str, uvm: str = "/dev/null", models: str = "", served: Any = None, **settings: str
    ) -> tuple[int, str, str]:
        """``models``: names of the set, each with its own weights. ``served``: the whole file instead."""
        listed = [{"name": name, "digest": f"sha256:{name}"} for name in models.split()]
        (tmp_path / "models.json").write_text(json.dumps(served or {"models": listed}), encoding="utf-8")
        values = {"CUDA_VISIBLE_DEVICES": GPU, "OLLAMA_HOST": api[1], "OLLAMA_GPU_REQUIRED": "1"}
        values |= {"OLLAMA_GPU_MODELS": str(tmp_path / "models.json"), **settings}
        lines = ["# a comment with = in it", *(f"{key}={value}" for key, value in values.items())]
        (tmp_path / "0.env").write_text("\n".join(lines), encoding="utf-8")
        status = program.main([verb, "0", "--settings", str(tmp_path), "--uvm", uvm, *flags])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def test_the_probe_passes_when_the_gpu_answers_by_its_uuid(run: Run, bin_folder: Path) -> None:
    script(bin_folder, "nvidia-smi", f'[ "$2" = {GPU} ] && echo "{GPU}, NVIDIA A10G"')
    assert run("probe") == (0, "", "")


def test_the_probe_fails_when_the_driver_does_not_answer(run: Run, bin_folder: Path) -> None:
    script(bin_folder, "nvidia-smi", "echo NVIDIA-SMI has failed because it could not communicate; exit 9")
    status, _, said = run("probe")
    assert status == 1
    assert f"{GPU} does not answer (nvidia-smi: NVIDIA-SMI has failed because it could not communicate)" in said


def test_the_probe_fails_where_there_is_no_driver(run: Run, bin_folder: Path) -> None:
    assert not list(bin_folder.iterdir())
    status, _, said = run("probe")
    assert (status, f"{GPU} does not answer" in said) == (1, True)


def test_the_probe_fails_for_a_gpu_of_another_uuid(run: Run, bin_folder: Path) -> None:
    script(bin_folder, "nvidia-smi", "echo GPU-00000000-another, NVIDIA A10G")
    status, _, said = run("probe")
    assert (status, "If the GPU was replaced, run the play again" in said) == (1, True)


def test_the_probe_fails_without_unified_memory(run: Run, bin_folder: Path, tmp_path: Path) -> None:
    script(bin_folder, "nvidia-smi", f'echo "{GPU}, NVIDIA A10G"')
    status, _, said = run("probe", uvm=str(tmp_path / "nvidia-uvm"))
    assert (status, "cannot be opened" in said) == (1, True)


def test_the_probe_never_passes_without_a_gpu_unless_told_to(run: Run) -> None:
    status, _, said = run("probe", CUDA_VISIBLE_DEVICES="-1")
    assert (status, "Ollama must not serve from the CPU" in said) == (1, True)
    assert run("probe", CUDA_VISIBLE_DEVICES="-1", OLLAMA_GPU_REQUIRED="0")[0] == 0


def test_warm_loads_each_model_permanently(run: Run, api: tuple[type[Api], str]) -> None:
    api[0].loaded = [
        {"name": "gemma3:270m", "size": 10, "size_vram": 10},
        {"name": "llama:latest", "size": 5, "size_vram": 5},
    ]
    status, said, _ = run("warm", models="gemma3:270m llama")
    assert status == 0
    assert [body for _, body in api[0].requests] == [
        {"model": "gemma3:270m", "keep_alive": -1, "stream": False},
        {"model": "llama:latest", "keep_alive": -1, "stream": False},
    ]
    assert "loaded gemma3:270m in" in said


def test_warm_fails_when_part_of_a_model_is_on_the_cpu(run: Run, api: tuple[type[Api], str]) -> None:
    api[0].loaded = [{"name": "gemma3:27b", "size": 18 << 30, "size_vram": 12 << 30}]
    status, _, said = run("warm", models="gemma3:27b")
    assert status == 1
    assert f"Only 12.0 of the 18.0 GiB of gemma3:27b are on {GPU}" in said
    assert run("warm", models="gemma3:27b", OLLAMA_GPU_REQUIRED="0")[0] == 0


def test_warm_fails_when_another_model_replaced_one(run: Run, api: tuple[type[Api], str]) -> None:
    api[0].loaded = [{"name": "b:1", "size": 1, "size_vram": 1}]
    status, _, said = run("warm", models="a:1 b:1")
    assert (status, "a:1 is not loaded on instance 0. Loaded: b:1." in said) == (1, True)


def model(name: str, weights: str) -> dict[str, str]:
    return {"name": name, "digest": f"sha256:{name}", "weights": weights}


def test_two_models_of_the_same_weights_share_a_process(run: Run, api: tuple[type[Api], str]) -> None:
    api[0].loaded = [{"name": "a:1", "size": 1, "size_vram": 1}]
    assert run("warm", served={"models": [model("a:1", "w"), model("b:1", "w")]})[0] == 0
    status, _, said = run("warm", served={"models": [model("a:1", "w"), model("b:1", "v")]})
    assert (status, "b:1 is not loaded on instance 0. Loaded: a:1." in said) == (1, True)


def test_process_may_have_a_name_that_is_no_longer_served(run: Run, api: tuple[type[Api], str]) -> None:
    api[0].loaded = [{"name": "a:1", "size": 1, "size_vram": 1}]
    assert run("warm", served={"models": [model("b:1", "w")], "formerly": [model("a:1", "w")]})[0] == 0
    assert run("warm", served={"models": [model("b:1", "w")]})[0] == 1


def test_warm_accepts_another_set(run: Run, api: tuple[type[Api], str], tmp_path: Path) -> None:
    api[0].loaded = [{"name": "new:1", "size": 1, "size_vram": 1}]
    (tmp_path / "wanted.json").write_text(json.dumps({"models": [model("new:1", "w")]}), encoding="utf-8")
    assert run("warm", "--models", str(tmp_path / "wanted.json"), models="missing:1b")[0] == 0
    assert [body["model"] for _, body in api[0].requests] == ["new:1"]


@pytest.mark.parametrize("served", [[], {"models": [{"name": "a"}]}, {"models": None}])
def test_unreadable_set_is_reported(run: Run, served: Any) -> None:
    status, _, said = run("warm", served=served or [1])
    assert (status, "does not list the served models" in said) == (1, True)


def test_warm_reports_a_missing_model(run: Run) -> None:
    status, _, said = run("warm", models="missing:1b")
    assert (status, "answered 404" in said, "model 'missing:1b' not found" in said) == (1, True, True)


def test_an_embedding_model_is_warmed_by_an_embedding(run: Run, api: tuple[type[Api], str]) -> None:
    api[0].embeds_only = True
    api[0].loaded = [{"name": "embed:latest", "size": 1, "size_vram": 1}]
    assert run("warm", models="embed")[0] == 0
    assert [path for path, _ in api[0].requests] == ["/api/generate", "/api/embed"]


def test_warm_gives_up_on_a_server_that_never_answers(
    run: Run, program: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "API_SECONDS", 0.3)
    status, _, said = run("warm", OLLAMA_HOST="127.0.0.1:9")
    assert (status, "http://127.0.0.1:9/api/version does not answer" in said) == (1, True)


def test_warm_notices_that_its_ollama_ended_and_another_program_answers(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setenv("MAINPID", str(ended.pid))
    status, _, said = run("warm")
    assert (status, "Ollama ended during its start" in said) == (1, True)
    monkeypatch.setenv("MAINPID", str(os.getpid()))
    assert run("warm")[0] == 0


JOURNAL = 'time=1 level=INFO msg="inference compute" id={id} library={library} compute=8.6 name="x"'


def journal(folder: Path, library: str) -> None:
    script(folder, "systemctl", "echo 0123abcd")
    line = JOURNAL.format(id=GPU, library=library).replace('"', '\\"')
    script(folder, "journalctl", f'[ "$3" = _SYSTEMD_INVOCATION_ID=0123abcd ] && echo "{line}"')


def test_check_reports_versions_models_and_gpu(run: Run, api: tuple[type[Api], str], bin_folder: Path) -> None:
    journal(bin_folder, "CUDA")
    api[0].loaded = [{"name": "gemma3:270m", "size": 10, "size_vram": 10, "context_length": 8192}]
    status, said, _ = run("check", "--version", "0.24.0", models="gemma3:270m")
    found = json.loads(said)
    assert (status, found["library"], found["gpu"]) == (0, "CUDA", GPU)
    assert found["loaded"] == [{"name": "gemma3:270m", "size": 10, "size_vram": 10, "context_length": 8192}]
    assert api[0].requests[0][1]["options"] == {"num_predict": 1}


def test_check_fails_when_ollama_found_no_cuda(run: Run, bin_folder: Path) -> None:
    journal(bin_folder, "cpu")
    status, _, said = run("check")
    assert (status, "started with the compute library cpu instead of CUDA" in said) == (1, True)


def test_check_fails_when_an_old_ollama_still_runs(run: Run, bin_folder: Path) -> None:
    journal(bin_folder, "CUDA")
    status, _, said = run("check", "--version", "0.32.9")
    assert (status, "runs Ollama 0.24.0, but 0.32.9 is installed" in said) == (1, True)


def test_instance_without_settings_is_reported(program: ModuleType, tmp_path: Path, capsys: Any) -> None:
    assert program.main(["probe", "7", "--settings", str(tmp_path)]) == 1
    assert "7.env cannot be read (No such file or directory). Run the play on this host." in capsys.readouterr().err
