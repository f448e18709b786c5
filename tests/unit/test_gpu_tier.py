"""The tier of a GPU: why it does not run, and that its own unit is gone afterwards whatever happened."""

from __future__ import annotations

import getpass
import json
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ollama_gpu.capacity import models
from ollama_gpu.errors import UserError
from tests import tiers
from tests.bench import gpu
from tests.bench.random_model import Written
from tests.gpu import host
from tests.gpu.conftest import TINY
from tests.gpu.scratch import UNIT, Places, Scratch, scratch

SEEN = "GPU 0: NVIDIA A10G (UUID: GPU-2f0e7c9b-5a51-4c8e-8c60-3a8d1b1f3d2a)"


def asked(listed: str, unit: str) -> object:
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
def test_the_reason_is_the_one_that_applies(
    tmp_path: Path, listed: str, unit: str, settings: list[str], user: int, reason: str
) -> None:
    for name in settings:
        (tmp_path / name).touch()
    found = host.not_run(asked(listed, unit), tmp_path, lambda: user)  # type: ignore[arg-type]
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


@pytest.mark.skipif(not host.not_run(), reason="this is a GPU host: the tier itself runs here")
def test_without_a_gpu_host_the_tier_did_not_run_and_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = tiers.gpu()
    assert (outcome.passed, outcome.failed, outcome.not_run) == (0, 0, host.not_run())
    assert gpu.main([]) == 1
    assert f"Not measured: this {host.not_run()}" in capsys.readouterr().err


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A host on which no unit starts; what was asked of systemd is in a file."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, status in (("systemctl", 1), ("journalctl", 0)):
        (programs / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\nexit {status}\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "0.env").write_text("# by a role\nCUDA_VISIBLE_DEVICES=GPU-1\nOLLAMA_HOST=127.0.0.1:11500\n")
    return Places(tmp_path / "etc", tmp_path / "unit.d", tmp_path / "store", getpass.getuser())


def test_its_unit_has_the_settings_of_those_that_serve_on_a_port_and_in_a_store_of_its_own(places: Places) -> None:
    with scratch(places) as unit:
        assert not unit.start("PrivateDevices=true", CUDA_VISIBLE_DEVICES="-1").good
        lines = places.own_settings.read_text().splitlines()
        assert "CUDA_VISIBLE_DEVICES=-1" in lines
        assert "OLLAMA_HOST=127.0.0.1:11515" in lines
        assert f"OLLAMA_MODELS={places.folder}/models" in lines
        assert (places.drop_in / "gpu-tests.conf").read_text() == "[Service]\nRestart=no\nPrivateDevices=true\n"
        assert unit.gpu == "GPU-1"


def test_nothing_of_it_is_left_although_it_failed_and_only_its_own_unit_was_stopped(
    places: Places, tmp_path: Path
) -> None:
    def fail(unit: Scratch) -> None:
        unit.start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), scratch(places) as unit:
        fail(unit)
    assert [path.name for path in places.settings.iterdir()] == ["0.env"]
    assert not places.drop_in.exists()
    assert not places.folder.exists()
    stopped = [line for line in (tmp_path / "asked").read_text().splitlines() if " stop " in line]
    assert set(stopped) == {f"systemctl stop {UNIT}"}


def test_what_an_interrupted_run_left_is_no_host_that_serves(places: Places) -> None:
    (places.settings / "0.env").rename(places.own_settings)
    with pytest.raises(UserError, match="No instance"):
        Scratch(places)


class Failing(BaseHTTPRequestHandler):
    """An Ollama that loads a model, answers six times as it should, and then no more: so it is when a GPU is lost."""

    answers = 0

    def do_GET(self) -> None:
        loaded = {"name": "random-weights:latest", "size": 8, "size_vram": 8, "context_length": 4096}
        self.say({"models": [loaded], "version": "0.24.0"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/generate" and "prompt" in (asked := json.loads(body)):
            type(self).answers += 1
            short = self.answers > 6
            counted = {"eval_count": 3 if short else asked["options"]["num_predict"]}
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


def test_answers_that_are_cut_off_are_no_figures(failing: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--url", failing, "--model", "tiny", "--streams", "1", "--seconds", "0.05"]
    assert gpu.main(asked, {"tiny": TINY}) == 1
    said = capsys.readouterr()
    assert "were refused or cut off" in said.err
    assert said.out == ""


def test_a_gpu_without_room_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    file = Written(tmp_path, "sha256:", 4_912_898_048)
    gpu.require_room(gpu.Machine("g4dn.xlarge", "Tesla T4", "580", free=15 << 30), models.of("llama3.1:8b"), file)
    with pytest.raises(UserError, match=r"has 6\.0 GiB free: llama3\.1:8b: weights 4\.58 GiB \+ KV cache 4\.00 GiB"):
        gpu.require_room(gpu.Machine("g5.xlarge", "NVIDIA A10G", "580", free=6 << 30), models.of("llama3.1:8b"), file)
