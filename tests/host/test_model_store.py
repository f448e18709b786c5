"""The model store of a converged host."""

import json
from typing import Any

import pytest

STORE = "/var/lib/ollama/models"
PROGRAM = "/usr/local/sbin/ollama-gpu-models"


@pytest.fixture
def models(host: Any) -> list[dict[str, Any]]:
    if not host.file(STORE).exists:
        pytest.skip("this host has no models yet: an image that was not booted")
    found: list[dict[str, Any]] = json.loads(host.check_output(f"{PROGRAM} list --json --store {STORE}"))
    return found


def test_model_program_is_installed_and_only_root_can_change_it(host: Any) -> None:
    program = host.file(PROGRAM)
    assert (program.user, program.group, program.mode) == ("root", "root", 0o755)
    assert host.run(f"{PROGRAM} --help").rc == 0


def test_boto3_is_installed_for_s3(host: Any) -> None:
    assert host.run("/usr/bin/python3 -c 'import boto3'").rc == 0


def test_every_model_is_complete(models: list[dict[str, Any]]) -> None:
    assert [model["name"] for model in models if not model["complete"]] == []


def test_every_blob_matches_its_digest(host: Any, models: list[dict[str, Any]]) -> None:
    verified = host.run(f"{PROGRAM} verify --store {STORE}")
    assert verified.rc == 0, (models, verified.stderr)


def test_store_belongs_to_ollama_and_has_no_leftovers(host: Any, models: list[dict[str, Any]]) -> None:
    assert host.check_output(f"find {STORE} ! -user ollama -o -type f -perm /022") == ""
    if models:
        assert host.check_output(f"find {STORE}/.partial -type f") == ""


def test_the_models_are_those_that_this_host_serves(host: Any, models: list[dict[str, Any]]) -> None:
    served = json.loads(host.file("/etc/ollama-gpu/models.json").content_string)["models"]
    assert {model["digest"] for model in served} == {model["digest"] for model in models}


def test_the_shared_python_module_is_installed_for_every_program(host: Any) -> None:
    module = host.file("/usr/local/lib/ollama-gpu/ollama_gpu_host.py")
    assert (module.user, module.group, module.mode) == ("root", "root", 0o644)
    for program in host.check_output("grep --files-with-matches ollama_gpu_host /usr/local/sbin/ollama-gpu-*").split():
        assert host.run(f"/usr/bin/python3 -I {program} --help").rc in (0, 2), program  # 2: usage without --help
