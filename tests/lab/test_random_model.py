"""A model of random weights in a real Ollama, measured as on a GPU; here a tiny shape on the CPU."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import gpu, random_model
from bench.ollama import Ollama
from ollama_gpu.core.errors import UserError
from ollama_gpu.core.paths import locate
from ollama_gpu.local.lab import locations
from ollama_gpu.local.lab.supplies import ollama as release
from tests.gpu.conftest import TINY
from tests.unit.collection import programs

NAME = "tiny:latest"
SLOTS = 2


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The lab's Ollama on a separate port, without a container."""
    folder = tmp_path_factory.mktemp("ollama")
    found = release.find(locations.locate(locate()).cache)
    assert found is not None, "the lab has no release of Ollama"
    unpacked = folder / "release.tar"
    subprocess.run(["zstd", "-q", "-d", found.folder / found.archive, "-o", unpacked], check=True)
    with tarfile.open(unpacked) as archive:
        archive.extractall(folder, filter="data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "CUDA_VISIBLE_DEVICES": "-1",
        "OLLAMA_CONTEXT_LENGTH": "256",
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(folder / "models"),
        "OLLAMA_NO_CLOUD": "1",
        "OLLAMA_NUM_PARALLEL": str(SLOTS),
    }
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([folder / "bin" / "ollama", "serve"], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                Ollama(f"http://127.0.0.1:{port}").version()
                break
            except UserError:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.parametrize("mix", random_model.FILE_TYPES)
def test_ollama_loads_the_model_and_it_answers_to_the_limit(url: str, tmp_path: Path, mix: str) -> None:
    ollama = Ollama(url)
    ollama.create(NAME, random_model.write(TINY, mix, tmp_path / "tiny.gguf"))
    loaded = ollama.load(NAME)
    assert (loaded.on_gpu, loaded.context) == (0, 256)
    answer, counted = ollama.answer(NAME, 20, 40)
    assert answer.tokens == 40
    assert answer.began < answer.first < answer.ended
    assert (counted["done_reason"], counted["prompt_eval_count"]) == ("length", 20 + 1)  # and the start token
    ollama.remove(NAME)


@pytest.mark.parametrize(("required", "status"), [("1", 1), ("0", 0)])
def test_the_gate_refuses_a_cpu_although_the_settings_name_a_gpu(
    url: str, tmp_path: Path, required: str, status: int
) -> None:
    """The silent case of tests/gpu/test_gate.py without the unit: the part that needs no GPU."""
    ollama = Ollama(url)
    file = random_model.write(TINY, "q4_k_m", tmp_path / "tiny.gguf")
    ollama.create(NAME, file)
    (tmp_path / "models.json").write_text(json.dumps({"models": [{"name": NAME, "digest": file.digest}]}))
    settings = {"CUDA_VISIBLE_DEVICES": "GPU-1", "OLLAMA_HOST": url.removeprefix("http://")}
    settings |= {"OLLAMA_GPU_MODELS": str(tmp_path / "models.json"), "OLLAMA_GPU_REQUIRED": required}
    (tmp_path / "15.env").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    command = [*programs.command("ollama", "ollama-gpu-instance"), "warm", "15", "--settings", str(tmp_path)]
    warmed = subprocess.run(command, capture_output=True, text=True, timeout=120)
    ollama.remove(NAME)
    assert warmed.returncode == status, warmed.stderr
    assert ("the CPU would compute the rest" in warmed.stderr) == bool(status)


def test_a_trial_is_measured_but_never_saved(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--url", url, "--model", "tiny", "--slots", str(SLOTS), "--streams", "1,2", "--seconds", "0.5"]
    lengths = ["--prompt-tokens", "24", "--answer-tokens", "12"]
    assert gpu.main([*arguments, *lengths, "--folder", str(tmp_path), "--json"], {"tiny": TINY}) == 0
    found = json.loads(capsys.readouterr().out)
    assert [point["streams"] for point in found["points"]] == [1, 2]
    for point in found["points"]:
        assert point["answers"] >= 2 * point["streams"]
        assert point["tokens_per_second"] > 0
        assert 0 < point["first_token_p50"] <= point["first_token_p95"]
    assert (found["gpu"], found["on_gpu"], found["prompt_rate"] > 0) == ("none", 0, True)
    assert list(tmp_path.iterdir()) == []
    assert Ollama(url).ask("GET", "/api/tags") == {"models": []}


def test_a_slot_too_small_for_question_and_answer_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--url",
        url,
        "--model",
        "tiny",
        "--slots",
        str(SLOTS),
        "--prompt-tokens",
        "200",
        "--answer-tokens",
        "56",
    ]
    assert gpu.main(arguments, {"tiny": TINY}) == 1
    assert "A slot holds 256 tokens" in capsys.readouterr().err
    assert Ollama(url).ask("GET", "/api/tags") == {"models": []}
