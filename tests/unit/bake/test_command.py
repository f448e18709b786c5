"""Tests of ollama_gpu.bake.command: the stages and the result of the play."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ollama_gpu.bake import command
from ollama_gpu.core.errors import UserError

OUTPUT = """
PLAY [Plan the image and acquire a builder] ****

TASK [Keep the plan] ****
ok: [localhost]

PLAY [Converge, reboot, test and seal] ****

TASK [ollama.gpu.docker : Install Docker Engine] ****
changed: [builder]

TASK [ollama.gpu.docker : Write daemon.json] ****
changed: [builder]

TASK [ollama.gpu.image_seal : Stop the journal] ****
ok: [builder]
"""


def test_stages_list_each_play_and_each_role_once() -> None:
    assert list(command.stages(OUTPUT.splitlines())) == [
        "Plan the image and acquire a builder",
        "Converge, reboot, test and seal",
        "  ollama.gpu.docker",
        "  ollama.gpu.image_seal",
    ]


def write(folder: Path, **result: str) -> Path:
    file = folder / "result.json"
    file.write_text(json.dumps(result))
    return file


def test_the_image_is_read_from_the_result_file(tmp_path: Path) -> None:
    file = write(tmp_path, name="ollama-gpu-host-a11a07fb6e140b66", image="ami-2daef832dcd829b57", error="")
    assert command.outcome(file, 0, [], tmp_path / "bake.log") == {
        "image": "ami-2daef832dcd829b57",
        "name": "ollama-gpu-host-a11a07fb6e140b66",
    }


def test_the_error_of_the_play_is_reported(tmp_path: Path) -> None:
    error = "No image was made. The task `Install Docker Engine` failed:\nNo package matching 'docker.io' is available"
    file = write(tmp_path, name="n", image="", error=error)
    with pytest.raises(UserError) as caught:
        command.outcome(file, 2, ["PLAY RECAP"], tmp_path / "bake.log")
    assert caught.value.message == error
    assert "bake.log" in caught.value.remedy


@pytest.mark.parametrize("status", [0, 1])
def test_a_play_without_a_result_shows_the_end_of_its_output(tmp_path: Path, status: int) -> None:
    with pytest.raises(UserError, match="no such file"):
        command.outcome(tmp_path / "result.json", status, ["ERROR! no such file"], tmp_path / "bake.log")


def test_a_failed_play_is_an_error_even_with_an_image(tmp_path: Path) -> None:
    file = write(tmp_path, name="n", image="ami-1", error="")
    with pytest.raises(UserError, match="ended unexpectedly"):
        command.outcome(file, 4, ["UNREACHABLE"], tmp_path / "bake.log")
