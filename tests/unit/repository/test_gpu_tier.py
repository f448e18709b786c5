"""The GPU tier: the reason why it does not run, and removal of its unit after any outcome."""

from __future__ import annotations

import getpass
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench import gpu
from bench.random_model import Written
from ollama_gpu.core.errors import UserError
from ollama_gpu.planning import models
from tests import tiers
from tests.gpu import host
from tests.gpu.conftest import TINY
from tests.gpu.scratch import UNIT, Locations, Scratch, scratch

SEEN = "GPU 0: NVIDIA A10G (UUID: GPU-2f0e7c9b-5a51-4c8e-8c60-3a8d1b1f3d2a)"


def fake_commands(listed: str, unit: str) -> object:
    def ask(command: Sequence[str]) -> str:
        return listed if command[0] == "nvidia-smi" else unit

    return ask


@pytest.mark.parametrize(
    ("listed", "unit", "settings", "user", "reason"),
    [
        ("", "", [], 0, "needs a machine with an NVIDIA GPU"),
        ("No devices found.", "ollama@.service", ["0.env"], 0, "needs a machine with an NVIDIA GPU"),
        (SEEN, "", ["0.env"], 0, "needs a GPU host that the roles have converged"),
        (SEEN, "ollama@.service disabled", [], 0, "needs a GPU host that the roles have converged"),
        (SEEN, "ollama@.service disabled", ["0.env"], 1000, "needs root"),
        (SEEN, "ollama@.service disabled", ["0.env"], 0, ""),
    ],
)
def test_the_reason_names_the_missing_condition(
    tmp_path: Path, listed: str, unit: str, settings: list[str], user: int, reason: str
) -> None:
    for name in settings:
        (tmp_path / name).touch()
    found = host.not_run(fake_commands(listed, unit), tmp_path, lambda: user)  # type: ignore[arg-type]
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


@pytest.mark.skipif(not host.not_run(), reason="this is a GPU host: the tier itself runs here")
def test_without_a_gpu_host_nothing_runs_or_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = tiers.gpu([])
    assert (outcome.passed, outcome.failed, outcome.not_run) == (0, 0, host.not_run())
    assert gpu.main([]) == 1
    assert f"Not measured: this {host.not_run()}" in capsys.readouterr().err


@pytest.fixture
def locations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Locations:
    """A host on which no unit starts; a file records the systemd commands."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, status in (("systemctl", 1), ("journalctl", 0)):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\nexit {status}\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "0.env").write_text("# by a role\nCUDA_VISIBLE_DEVICES=GPU-1\nOLLAMA_HOST=127.0.0.1:11500\n")
    return Locations(tmp_path / "etc", tmp_path / "unit.d", tmp_path / "store", getpass.getuser())


def test_the_scratch_unit_copies_production_settings_with_its_own_port_and_store(locations: Locations) -> None:
    with scratch(locations) as unit:
        assert not unit.start("PrivateDevices=true", CUDA_VISIBLE_DEVICES="-1").good
        lines = locations.own_settings.read_text().splitlines()
        assert "CUDA_VISIBLE_DEVICES=-1" in lines
        assert "OLLAMA_HOST=127.0.0.1:11515" in lines
        assert f"OLLAMA_MODELS={locations.folder}/models" in lines
        assert (locations.drop_in / "gpu-tests.conf").read_text() == "[Service]\nRestart=no\nPrivateDevices=true\n"
        assert unit.gpu == "GPU-1"


def test_an_interrupted_run_removes_its_own_unit_only(locations: Locations, tmp_path: Path) -> None:
    def fail(unit: Scratch) -> None:
        unit.start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), scratch(locations) as unit:
        fail(unit)
    assert [path.name for path in locations.settings.iterdir()] == ["0.env"]
    assert not locations.drop_in.exists()
    assert not locations.folder.exists()
    stopped = [line for line in (tmp_path / "asked").read_text().splitlines() if " stop " in line]
    assert set(stopped) == {f"systemctl stop {UNIT}"}


def test_leftovers_of_an_interrupted_run_do_not_count_as_a_serving_instance(locations: Locations) -> None:
    (locations.settings / "0.env").rename(locations.own_settings)
    with pytest.raises(UserError, match="No instance"):
        Scratch(locations)


class Failing(BaseHTTPRequestHandler):
    """An Ollama that loads a model, answers six times in full, and then cuts answers short, as after losing a GPU."""

    answers = 0

    def do_GET(self) -> None:
        loaded = {"name": "random-weights:latest", "size": 8, "size_vram": 8, "context_length": 4096}
        self.say({"models": [loaded], "version": "0.24.0"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/generate" and "prompt" in (request := json.loads(body)):
            type(self).answers += 1
            short = self.answers > 6
            counted = {"eval_count": 3 if short else request["options"]["num_predict"]}
            counted |= {"prompt_eval_count": 25, "prompt_eval_duration": 1_000_000}
            self.say({"response": "w1", "done": True, **counted})
        else:
            self.say({})

    def do_DELETE(self) -> None:
        self.say({})

    def say(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("ThisOne", (Failing,), {"answers": 0}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_cut_off_answers_give_no_figures(failing: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--url", failing, "--model", "tiny", "--streams", "1", "--seconds", "0.05"]
    assert gpu.main(arguments, {"tiny": TINY}) == 1
    captured = capsys.readouterr()
    assert "were refused or cut off" in captured.err
    assert captured.out == ""


def test_a_gpu_without_room_is_refused_before_loading(tmp_path: Path) -> None:
    file = Written(tmp_path, "sha256:", 4_912_898_048)
    gpu.require_room(gpu.Machine("g4dn.xlarge", "Tesla T4", "580", free=15 << 30), models.of("llama3.1:8b"), file)
    with pytest.raises(UserError, match=r"has 6\.0 GiB free: llama3\.1:8b: weights 4\.58 GiB \+ KV cache 4\.00 GiB"):
        gpu.require_room(gpu.Machine("g5.xlarge", "NVIDIA A10G", "580", free=6 << 30), models.of("llama3.1:8b"), file)
