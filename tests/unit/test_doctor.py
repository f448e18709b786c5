"""Doctor's rows about the shell and about what the lab needs."""

from __future__ import annotations

import socket

from ollama_gpu import doctor_lab, doctor_shell
from ollama_gpu.lab.engine import Situation


def test_a_shell_that_points_at_a_local_aws_fails_for_every_environment_but_local() -> None:
    shell = {"AWS_ENDPOINT_URL": "http://127.0.0.1:5566"}
    [row] = doctor_shell.rows(shell, embedded=False)
    assert (row.state, "unset AWS_ENDPOINT_URL" in row.remedy) == ("failed", True)
    assert doctor_shell.rows(shell, embedded=True) == []
    assert doctor_shell.rows({"AWS_ENDPOINT_URL": "https://vpce-1.example"}, embedded=False) == []


def test_variables_that_terraform_is_run_without_are_named() -> None:
    [row] = doctor_shell.rows({"TF_VAR_region": "x", "PATH": "/bin"}, embedded=True)
    assert (row.state, "TF_VAR_region" in row.seen) == ("warning", True)


def test_a_missing_engine_is_what_a_deploy_installs_or_a_remedy() -> None:
    machine = Situation(False, daemon=False, chosen=None, root=True, apt=True, systemd=True, why_not="no docker")
    assert "installs and starts" in doctor_lab.engine(None, machine).seen
    refused = doctor_lab.engine(None, Situation(False, False, None, root=False, apt=True, systemd=True, why_not="no"))
    assert (refused.state, "LAB=off" in refused.remedy) == ("warning", True)
    assert doctor_lab.engine("20.10", None).state == "ok"


def test_little_memory_is_a_warning_with_the_way_around_it() -> None:
    assert doctor_lab.memory(24).state == "ok"
    assert "LAB=off" in doctor_lab.memory(3.9).remedy


def test_a_port_that_somebody_listens_at_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not doctor_lab.is_free(port)
    assert doctor_lab.is_free(port)
