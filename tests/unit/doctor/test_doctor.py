"""The doctor's checks of the shell and for the lab."""

from __future__ import annotations

import socket

from ollama_gpu.bake.forecast import Forecast, Step
from ollama_gpu.doctor import lab
from ollama_gpu.doctor import shell as doctor_shell
from ollama_gpu.local.lab.engine import Situation


def test_local_endpoint_in_the_shell_fails_except_for_env_local() -> None:
    shell = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5566"}
    [row] = doctor_shell.rows(shell, embedded=False)
    assert (row.state, "unset AWS_ENDPOINT_URL" in row.remedy) == ("failed", True)
    assert doctor_shell.rows(shell, embedded=True) == []
    assert doctor_shell.rows({"AWS_ENDPOINT_URL": "https://vpce-1.example"}, embedded=False) == []


def test_variables_that_terraform_ignores_are_named() -> None:
    [row] = doctor_shell.rows({"TF_VAR_region": "x", "PATH": "/bin"}, embedded=True)
    assert (row.state, "TF_VAR_region" in row.seen) == ("warning", True)


def test_missing_engine_is_installed_by_a_deploy_or_has_a_remedy() -> None:
    machine = Situation(False, daemon=False, chosen=None, root=True, apt=True, systemd=True, why_not="no docker")
    assert "installs and starts" in lab.engine(None, machine).seen
    refused = lab.engine(None, Situation(False, False, None, root=False, apt=True, systemd=True, why_not="no"))
    assert (refused.state, "LAB=off" in refused.remedy) == ("warning", True)
    assert lab.engine("20.10", None).state == "ok"


def test_too_little_memory_is_a_warning_with_a_remedy() -> None:
    assert lab.memory(24).state == "ok"
    assert "LAB=off" in lab.memory(3.9).remedy


def test_next_deploy_is_forecast_with_its_time_and_what_it_builds() -> None:
    step = Step("machine image", 720, "build and test it")
    first = Forecast((step,), 240, "measured on two cores, 24 GiB", ("Ollama", "machine image"))
    seen = [row.seen for row in lab.deploy(first)]
    assert seen[0] == "1 steps, about 12 minutes here; later deploys about 4 (measured on two cores, 24 GiB)"
    assert seen[1].startswith("Ollama, machine image (built, ")
    [only] = lab.deploy(Forecast((step,), 240, "measured on this machine", ()))
    assert "later" not in only.seen


def test_disk_and_memory_say_what_a_deploy_uses() -> None:
    assert (
        lab.disk("/var/lib/docker", 50, first=True).seen
        == "50 GiB free for /var/lib/docker; a first deploy uses about 8"
    )
    assert lab.disk("/var/lib/docker", 50, first=False).seen == "50 GiB free for /var/lib/docker"
    assert lab.disk("/var/lib/docker", 5, first=True).state == "warning"
    assert "a bake 2 more" in lab.memory(24).seen


def test_port_in_use_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not lab.is_free(port)
    assert lab.is_free(port)
