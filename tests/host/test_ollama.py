"""Ollama on a converged host: its installation, its sandbox, and a model that answers from its GPU."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

CONTRACT = yaml.safe_load((Path(__file__).parents[2] / "contract" / "instance.yaml").read_text(encoding="utf-8"))
FIRST_PORT = CONTRACT["ports"]["ollama_first"]
SETTINGS = "/etc/ollama"


def settings(host: Any, index: int) -> dict[str, str]:
    lines = host.file(f"{SETTINGS}/{index}.env").content_string.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def properties(host: Any, index: int) -> dict[str, str]:
    shown = host.check_output(f"systemctl show ollama@{index}.service")
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def ask(host: Any, index: int, path: str, body: dict[str, Any] | None = None) -> Any:
    data = "" if body is None else f"--data '{json.dumps(body)}'"
    answer = host.check_output(
        f"curl -sS --fail-with-body --max-time 120 {data} http://127.0.0.1:{FIRST_PORT + index}{path}"
    )
    return json.loads(answer)


@pytest.fixture
def indexes(host: Any) -> list[int]:
    found = [int(name.removesuffix(".env")) for name in host.file(SETTINGS).listdir()]
    wanted = host.run("systemctl list-unit-files --state=enabled 'ollama@*' --no-legend --plain").stdout
    if not found and "ollama@" not in wanted:
        pytest.skip("no instance of Ollama is set up: an image that was not booted yet")
    return sorted(found)


@pytest.fixture
def gpus(host: Any) -> list[str]:
    listed = host.run("nvidia-smi --query-gpu=uuid --format=csv,noheader")
    if listed.rc != 0:
        pytest.skip("needs an NVIDIA GPU")
    return str(listed.stdout).split()


def test_one_release_is_installed_and_on_the_path(host: Any) -> None:
    version = host.file("/opt/ollama/current").linked_to.rsplit("/", 1)[-1]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert host.file("/usr/local/bin/ollama").linked_to == f"/opt/ollama/{version}/bin/ollama"
    assert version in host.check_output("ollama --version 2>&1")
    assert sorted(host.file("/opt/ollama").listdir()) == sorted([version, "current"])
    assert re.fullmatch(r"[0-9a-f]{64}\n", host.file(f"/opt/ollama/{version}/ARCHIVE-SHA256").content_string)
    for path in ("/opt/ollama", f"/opt/ollama/{version}/bin/ollama"):
        assert (host.file(path).user, host.file(path).mode & 0o022) == ("root", 0)


def test_its_user_cannot_log_in(host: Any) -> None:
    user = host.user("ollama")
    assert (user.group, user.shell, user.home) == ("ollama", "/usr/sbin/nologin", "/var/lib/ollama")
    assert user.uid < 1000


def test_every_instance_is_active_and_enabled(host: Any, indexes: list[int]) -> None:
    for index in indexes:
        unit = host.service(f"ollama@{index}.service")
        assert unit.is_running
        assert unit.is_enabled


def test_no_instance_runs_without_its_settings(host: Any, indexes: list[int]) -> None:
    running = host.check_output("systemctl list-units --no-legend --plain --all 'ollama@*.service'")
    assert sorted(map(int, re.findall(r"ollama@(\d+)\.service", running))) == indexes


def test_instances_listen_on_the_loopback_only(host: Any, indexes: list[int]) -> None:
    listening = {socket for socket in host.socket.get_listening_sockets() if socket.startswith("tcp")}
    for index in indexes:
        port = FIRST_PORT + index
        assert {socket for socket in listening if socket.endswith(f":{port}")} == {f"tcp://127.0.0.1:{port}"}


def test_settings_that_ollama_would_guess_are_set(host: Any, indexes: list[int]) -> None:
    for index in indexes:
        values = settings(host, index)
        assert values["OLLAMA_HOST"] == f"127.0.0.1:{FIRST_PORT + index}"
        assert int(values["OLLAMA_CONTEXT_LENGTH"]) > 0
        assert int(values["OLLAMA_NUM_PARALLEL"]) > 0
        assert values["OLLAMA_KEEP_ALIVE"] == "-1"
        assert (values["OLLAMA_NOPRUNE"], values["OLLAMA_NO_CLOUD"]) == ("1", "1")


def test_the_unit_is_confined(host: Any, indexes: list[int]) -> None:
    for index in indexes:
        found = properties(host, index)
        assert (found["User"], found["Group"], found["NoNewPrivileges"]) == ("ollama", "ollama", "yes")
        assert (found["ProtectSystem"], found["ProtectHome"], found["PrivateTmp"]) == ("strict", "yes", "yes")
        assert found.get("CapabilityBoundingSet", "") == ""  # an empty property is not shown
        assert found["LimitNOFILE"] == "65536"
        assert set(found["IPAddressAllow"].split()) == {"127.0.0.0/8", "::1/128"}
        assert "/var/lib/ollama/models" in found["ReadOnlyPaths"]


def test_ollama_cannot_write_to_the_model_store(host: Any, indexes: list[int]) -> None:
    for index in indexes:
        models = settings(host, index)["OLLAMA_MODELS"]
        pid = properties(host, index)["MainPID"]
        mounts = host.check_output(f"cat /proc/{pid}/mountinfo").splitlines()
        mount = [line.split() for line in mounts if line.split()[4] == models]
        assert mount
        assert "ro" in mount[-1][5].split(",")


def test_every_instance_answers_with_the_installed_version(host: Any, indexes: list[int]) -> None:
    version = host.file("/opt/ollama/current").linked_to.rsplit("/", 1)[-1]
    for index in indexes:
        assert ask(host, index, CONTRACT["health"]["ollama"]) == {"version": version}


def served(host: Any) -> list[str]:
    """The models that this host serves."""
    found = json.loads(host.file("/etc/ollama-gpu/models.json").content_string)
    return [model["name"] for model in found["models"]]


def test_every_instance_has_its_models_loaded_with_the_configured_context(host: Any, indexes: list[int]) -> None:
    for index in indexes:
        values = settings(host, index)
        contexts = {model["name"]: model["context_length"] for model in ask(host, index, "/api/ps")["models"]}
        assert set(contexts) >= set(served(host))
        # an embedding model has its own, shorter context
        assert max(contexts.values(), default=0) == (int(values["OLLAMA_CONTEXT_LENGTH"]) if contexts else 0)


def test_a_model_answers(host: Any, indexes: list[int]) -> None:
    for index in indexes:
        models = served(host)
        if not models:
            pytest.skip("this host has no models")
        messages = [{"role": "user", "content": "The capital of France is"}]
        body = {"model": models[0], "messages": messages, "stream": False, "options": {"num_predict": 8}}
        answer = ask(host, index, "/api/chat", body)
        assert answer["done"] is True
        assert answer["message"]["content"].strip()


def test_instance_without_a_gpu_logs_a_warning(host: Any, indexes: list[int]) -> None:
    for index in indexes:
        if settings(host, index)["CUDA_VISIBLE_DEVICES"] != "-1":
            continue
        assert settings(host, index)["OLLAMA_GPU_REQUIRED"] == "0"
        start = properties(host, index)["InvocationID"]
        said = host.check_output(f"journalctl -o cat _SYSTEMD_INVOCATION_ID={start}")
        assert "SERVES FROM THE CPU" in said


def test_every_gpu_has_its_instance(host: Any, indexes: list[int], gpus: list[str]) -> None:
    assert sorted(settings(host, index)["CUDA_VISIBLE_DEVICES"] for index in indexes) == sorted(gpus)


def test_every_model_is_fully_on_its_gpu(host: Any, indexes: list[int], gpus: list[str]) -> None:
    assert len(gpus) == len(indexes)
    for index in indexes:
        checked = json.loads(host.check_output(f"ollama-gpu-instance check {index}"))
        assert checked["library"] == "CUDA"
        for model in checked["loaded"]:
            assert model["size_vram"] == model["size"]
