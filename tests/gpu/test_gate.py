"""The gate: the role's unit serves from the GPU, and does not start if it would have to serve from the CPU.

Tested with one more instance of the unit; the serving ones are not touched. The gate consists of
`ollama-gpu-instance probe` before Ollama starts, and `warm` before the unit counts as up.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpu.host import SETTINGS, answer
from tests.gpu.scratch import INDEX, MODEL, UNIT, Scratch

PROGRAM = "/usr/local/sbin/ollama-gpu-instance"


def serving() -> dict[str, str]:
    """State of every serving unit; its invocation id changes with a restart."""
    files = [file for file in SETTINGS.glob("*.env") if file.stem != str(INDEX)]
    units = [f"ollama@{file.stem}.service" for file in files]
    return {unit: answer(["systemctl", "show", "--property=InvocationID,ActiveState", unit]) for unit in units}


@pytest.fixture(autouse=True)
def _serving_units_are_not_touched(_needs_a_gpu_host: None) -> Iterator[None]:
    before = serving()
    yield
    assert serving() == before


@pytest.fixture
def hidden() -> Iterator[str]:
    """Unit lines that hide the GPU from Ollama, although its settings name a GPU that answers."""
    file = Path("/run/ollama-gpu-tests.env")
    file.write_text("CUDA_VISIBLE_DEVICES=-1\n", encoding="utf-8")  # a later file takes precedence
    yield f"EnvironmentFile={file}"
    file.unlink()


def test_the_unit_serves_entirely_from_the_gpu(unit: Scratch) -> None:
    started = unit.start()
    assert started.good, started.log
    loaded = unit.ollama.load(MODEL)
    assert loaded.size == loaded.on_gpu > 0
    checked = json.loads(answer([PROGRAM, "check", str(INDEX)]))
    assert (checked["library"], checked["gpu"]) == ("CUDA", unit.gpu)
    assert unit.ollama.answer(MODEL, 32, 16)[0].tokens == 16


def test_the_computing_process_is_on_the_gpu(unit: Scratch) -> None:
    started = unit.start()
    assert started.good, started.log
    group = answer(["systemctl", "show", "--property=ControlGroup", "--value", UNIT])
    mine = Path(f"/sys/fs/cgroup{group}/cgroup.procs").read_text(encoding="utf-8").split()
    computing = answer(["nvidia-smi", "-i", unit.gpu, "--query-compute-apps=pid", "--format=csv,noheader"]).split()
    assert set(mine) & set(computing)


def test_it_does_not_start_without_an_assigned_gpu(unit: Scratch) -> None:
    started = unit.start(CUDA_VISIBLE_DEVICES="-1")
    assert not started.good
    assert "No GPU is assigned, and Ollama must not serve from the CPU" in started.log


def test_it_does_not_start_when_its_devices_cannot_be_opened(unit: Scratch) -> None:
    started = unit.start("DeviceAllow=\nPrivateDevices=true")
    assert not started.good
    assert "does not answer" in started.log or "cannot be opened" in started.log


def test_it_does_not_stay_up_when_ollama_falls_back_to_the_cpu(unit: Scratch, hidden: str) -> None:
    """The silent case: the driver answers, but Ollama computes on the CPU."""
    started = unit.start(hidden)
    assert not started.good
    assert "the CPU would compute the rest" in started.log
    assert not _listens(unit.port)


def test_without_the_gate_the_unit_would_serve_from_the_cpu(unit: Scratch, hidden: str) -> None:
    """The gate causes the refusal above: without its two programs the unit starts and reports no error."""
    started = unit.start(f"{hidden}\nExecStartPre=\nExecStartPost=")
    assert started.good, started.log
    unit.wait_until_it_answers()
    loaded = unit.ollama.load(MODEL)
    assert loaded.on_gpu == 0 < loaded.size
    checked = subprocess.run([PROGRAM, "check", str(INDEX)], capture_output=True, text=True)
    assert checked.returncode == 1
    assert "instead of CUDA" in checked.stderr


def test_it_serves_again_when_it_sees_its_gpu_again(unit: Scratch) -> None:
    started = unit.start()
    assert started.good, started.log


def _listens(port: int) -> bool:
    return f"127.0.0.1:{port}" in answer(["ss", "-Hltn"])
