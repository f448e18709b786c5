"""The model store of a converged host."""

import json
from typing import Any

import pytest

STORE = "/var/lib/ollama/models"
PROGRAM = "/usr/local/sbin/ollama-gpu-models"


@pytest.fixture
def models(host: Any) -> list[dict[str, Any]]:
    if not host.file(STORE).exists:
        pytest.skip("this host holds no models yet: an image that was not booted")
    found: list[dict[str, Any]] = json.loads(host.check_output(f"{PROGRAM} list --json --store {STORE}"))
    return found


def test_the_program_is_there_for_root_only_to_change(host: Any) -> None:
    program = host.file(PROGRAM)
    assert (program.user, program.group, program.mode) == ("root", "root", 0o755)
    assert host.run(f"{PROGRAM} --help").rc == 0


def test_s3_can_be_read(host: Any) -> None:
    assert host.run("/usr/bin/python3 -c 'import boto3'").rc == 0


def test_every_model_is_complete(models: list[dict[str, Any]]) -> None:
    assert [model["name"] for model in models if not model["complete"]] == []


def test_every_blob_has_the_content_that_its_name_says(host: Any, models: list[dict[str, Any]]) -> None:
    verified = host.run(f"{PROGRAM} verify --store {STORE}")
    assert verified.rc == 0, (models, verified.stderr)


def test_everything_belongs_to_ollama_and_nothing_is_left_over(host: Any, models: list[dict[str, Any]]) -> None:
    assert host.check_output(f"find {STORE} ! -user ollama -o -type f -perm /022") == ""
    if models:
        assert host.check_output(f"find {STORE}/.partial -type f") == ""


def test_the_models_are_those_that_this_host_serves(host: Any, models: list[dict[str, Any]]) -> None:
    served = json.loads(host.file("/etc/ollama-gpu/models.json").content_string)["models"]
    assert {model["digest"] for model in served} == {model["digest"] for model in models}
