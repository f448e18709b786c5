"""The GPU metrics' service on a converged host."""

from __future__ import annotations

import json
from typing import Any

import pytest

PROGRAM = "/usr/local/sbin/ollama-gpu-metrics"
CONFIGURATION = "/etc/ollama-gpu/metrics.json"
UNIT = "ollama-gpu-metrics.service"

# Run one round of the program on the host, with a listener instead of the agent.
ONE_ROUND = f"""
import json, socket, subprocess, sys, tempfile
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("127.0.0.1", 0))
receiver.settimeout(60)
settings = json.load(open("{CONFIGURATION}"))
settings["agent_port"] = receiver.getsockname()[1]
settings["group"] = settings["group"] or "test"
settings["instance_id"] = settings["instance_id"] or "test"
with tempfile.TemporaryDirectory() as folder:
    json.dump(settings, open(folder + "/settings.json", "w"))
    command = [sys.executable, "{PROGRAM}", folder + "/settings.json", folder]
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        print(receiver.recv(65535).decode())
    finally:
        program.kill()
        program.wait()
"""


@pytest.fixture(scope="module")
def line(host: Any) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(host.check_output("python3 -c %s", ONE_ROUND))
    return sent


def journal_of_this_run(host: Any) -> str:
    run = host.check_output(f"systemctl show --property=InvocationID --value {UNIT}")
    return str(host.check_output(f"journalctl _SYSTEMD_INVOCATION_ID={run} --output=cat --no-pager"))


def gpus_on_the_bus(host: Any) -> int:
    """NVIDIA's display and 3D controllers."""
    count = 0
    for device in host.check_output("ls /sys/bus/pci/devices").split():
        at = f"/sys/bus/pci/devices/{device}"
        vendor, kind = host.file(f"{at}/vendor").content_string, host.file(f"{at}/class").content_string
        count += vendor.strip() == "0x10de" and kind.startswith(("0x0300", "0x0302"))
    return count


def test_only_root_can_change_the_program(host: Any) -> None:
    for path, mode in ((PROGRAM, 0o755), (CONFIGURATION, 0o644)):
        file = host.file(path)
        assert (file.user, file.group, file.mode) == ("root", "root", mode), path


def test_the_service_runs_and_will_after_a_reboot(host: Any) -> None:
    service = host.service(UNIT)
    assert service.is_running
    assert service.is_enabled
    assert host.check_output(f"systemctl show --property=NRestarts --value {UNIT}") == "0"


def test_service_runs_as_dynamic_user_without_capabilities(host: Any) -> None:
    pid = host.check_output(f"systemctl show --property=MainPID --value {UNIT}")
    status = dict(row.split(":", 1) for row in host.file(f"/proc/{pid}/status").content_string.splitlines())
    assert status["Uid"].split()[0] != "0"
    assert int(status["CapEff"].strip(), 16) == 0
    assert status["NoNewPrivs"].strip() == "1"


def test_service_can_read_the_kernel_log(host: Any) -> None:
    assert "event=kernel_log result=failed" not in journal_of_this_run(host)


def test_service_sends_the_number_of_gpus_to_the_agent(host: Any, line: dict[str, Any]) -> None:
    assert line["GpuCount"] == gpus_on_the_bus(host)
    assert line["GpuErrors"] >= 0
    names = {metric["Name"] for directive in line["_aws"]["CloudWatchMetrics"] for metric in directive["Metrics"]}
    assert {"GpuCount", "GpuErrors"} <= names <= set(json.loads(host.file(CONFIGURATION).content_string)["metrics"])


def test_gpus_report_errors_and_clocks(host: Any) -> None:
    if gpus_on_the_bus(host) == 0:
        pytest.skip("needs an NVIDIA GPU")
    assert "event=gpus result=failed" not in journal_of_this_run(host)
    fields = "uuid,ecc.errors.uncorrected.volatile.total,clocks_event_reasons.active"
    asked = host.run(f"nvidia-smi --query-gpu={fields} --format=csv,noheader,nounits")
    assert asked.rc == 0 or "is not a valid field" in asked.stdout
