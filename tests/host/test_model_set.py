"""A converged host follows its environment's model set, once it has an environment."""

from __future__ import annotations

import json

from testinfra.host import Host

UNIT = "ollama-gpu-model-set"


def test_the_timer_runs_now_and_at_boot(host: Host) -> None:
    timer = host.service(f"{UNIT}.timer")
    assert timer.is_enabled
    assert timer.is_running


def test_unit_waits_for_the_instance_description(host: Host) -> None:
    assert "ConditionPathExists=/etc/ollama-gpu/instance.json" in host.check_output(f"systemctl cat {UNIT}.service")


def test_settings_have_every_ollama_of_this_host(host: Host) -> None:
    settings = json.loads(host.file("/etc/ollama-gpu/model-set.json").content_string)
    units = host.check_output("ls /etc/ollama").split() if host.file("/etc/ollama").exists else []
    assert len(settings["ports"]) == len(settings["gpus"]) == len([unit for unit in units if unit.endswith(".env")])


def test_called_programs_are_installed(host: Host) -> None:
    settings = json.loads(host.file("/etc/ollama-gpu/model-set.json").content_string)
    for program in (settings["instance_program"], settings["store_program"], f"/usr/local/sbin/{UNIT}"):
        assert host.run(f"{program} --help").rc == 0, program


def test_boto3_is_installed_for_parameters(host: Host) -> None:
    assert host.run("python3 -I -c 'import boto3'").rc == 0
