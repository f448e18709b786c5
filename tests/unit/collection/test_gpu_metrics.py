"""The GPU metrics' program: input from driver, kernel, Ollama and gateway, and output to the agent."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.collection.programs import ROLES, command, load

REPOSITORY = Path(__file__).resolve().parents[3]
ROLE = ROLES / "gpu_metrics"
PAGE = (REPOSITORY / "tests" / "data" / "haproxy-metrics.txt").read_text()
CONTRACT = yaml.safe_load((REPOSITORY / "contract" / "instance.yaml").read_text())
OURS = {
    name: {key: metric[key] for key in ("unit", "dimensions")}
    for name, metric in CONTRACT["metrics"]["names"].items()
    if metric["made_by"] in ("gpu_metrics", "gateway_page")
}

metrics = load("gpu_metrics", "ollama-gpu-metrics")

# Written from nvidia-smi(1) for "--format=csv,noheader,nounits": an A10G, and a T4 without ECC. Not recorded.
TWO_GPUS = """\
0, GPU-2f0e7c9b-5a51-4c8e-8c60-3a8d1b1f3d2a, 00000000:00:1B.0, NVIDIA A10G, 0, 0x0000000000000004
1, GPU-7a1f5e0d-93b2-4c1f-a5b0-0e6f2a7d9c11, 00000000:00:1C.0, Tesla T4, [N/A], 0x0000000000000060
"""
ONE_LOST = """\
Unable to determine the device handle for GPU0000:00:1C.0: GPU is lost.  Reboot the system to recover this GPU
0, GPU-2f0e7c9b-5a51-4c8e-8c60-3a8d1b1f3d2a, 00000000:00:1B.0, NVIDIA A10G, 2, 0x0000000000000000
"""
# Messages from https://docs.nvidia.com/deploy/xid-errors/, in the format of `journalctl --output=json`.
XID_79 = "NVRM: Xid (PCI:0000:00:1e.0): 79, pid=1423, name=ollama, GPU has fallen off the bus."
XID_45 = "NVRM: Xid (PCI:0000:00:1e.0): 45, pid=1423, name=ollama, Ch 00000008"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Put a shell script with a given name first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def put(name: str, script: str) -> Path:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return put


def printing(text: str, status: int = 0) -> str:
    return f"cat <<'END'\n{text}\nEND\nexit {status}"


def journal_line(message: object) -> str:
    return json.dumps({"MESSAGE": message, "PRIORITY": "3", "_TRANSPORT": "kernel"})


class Written:
    """A journal that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.journal = metrics.Journal(self.lines.append)


class Host:
    """A collector on a host with two GPUs that scripts simulate."""

    def __init__(self, state: Path, **settings: Any) -> None:
        self.written = Written()
        settings = {
            "expected_gpus": 2,
            "gateway_backends": ["ollama"],
            "gateway_page": "http://127.0.0.1:1/metrics",
            "ignored_xids": [45],
            "nvidia_smi": "nvidia-smi",
            "ollama_ports": [],
            **settings,
        }
        self.collector = metrics.Collector(settings, self.written.journal, state)

    def values(self) -> dict[str, Any]:
        values: dict[str, Any] = self.collector.collect()[0]
        return values


@pytest.fixture
def served() -> Iterator[Callable[[dict[str, str]], int]]:
    """Serve texts by path on a loopback port."""
    servers: list[ThreadingHTTPServer] = []

    def serve(answers: dict[str, str]) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(self.path.partition("?")[0])
                self.send_response(200 if answer is not None else 404)
                self.end_headers()
                self.wfile.write((answer or "").encode())

            def log_message(self, *_: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return int(servers[-1].server_port)

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def models(*sizes: tuple[int, int]) -> str:
    return json.dumps({"models": [{"name": "gemma3:270m", "size": size, "size_vram": vram} for size, vram in sizes]})


class TestGpus:
    def test_each_answering_gpu_is_read_with_its_errors_and_clocks(self) -> None:
        first, second = metrics.parse_gpus(TWO_GPUS)
        assert (first.pci, first.name, first.ecc_errors) == ("00000000:00:1b.0", "NVIDIA A10G", 0)
        assert (second.ecc_errors, second.throttles) == (None, 0x60)

    def test_a_lost_gpu_is_not_counted(self) -> None:
        assert [gpu.name for gpu in metrics.parse_gpus(ONE_LOST)] == ["NVIDIA A10G"]
        assert (
            metrics.parse_gpus("0, [Unknown Error], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]") == []
        )

    def test_power_cap_is_no_fault_but_heat_is(self) -> None:
        assert metrics.throttles(0x1 | 0x2 | 0x4) == []
        assert metrics.throttles(0x4 | 0x40) == ["hardware thermal slowdown"]
        assert metrics.throttles(None) == []

    def test_older_driver_is_queried_with_the_older_field(self, programs: Any) -> None:
        refusal = 'Field "clocks_event_reasons.active" is not a valid field to query.'
        programs("nvidia-smi", f"case $1 in *event_reasons*) echo '{refusal}'; exit 2;; esac\n{printing(TWO_GPUS)}")
        assert len(metrics.Smi("nvidia-smi").gpus()) == 2

    def test_driver_error_is_reported(self, programs: Any) -> None:
        programs(
            "nvidia-smi", printing("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", 9)
        )
        with pytest.raises(metrics.Unreadable, match="status 9: NVIDIA-SMI has failed"):
            metrics.Smi("nvidia-smi").gpus()

    def test_missing_nvidia_smi_is_reported(self) -> None:
        with pytest.raises(metrics.Unreadable, match="cannot be run: No such file"):
            metrics.Smi("/nowhere/nvidia-smi").gpus()

    def test_hanging_driver_is_abandoned_and_not_queried_again(
        self, programs: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        programs("nvidia-smi", f"echo $$ >>{tmp_path}/asked\nexec sleep 60")
        monkeypatch.setattr(subprocess.Popen, "kill", lambda _: None)  # like a process that is stuck in the kernel
        smi = metrics.Smi("nvidia-smi", timeout_seconds=1)
        with pytest.raises(metrics.Unreadable, match="did not answer within 1 s"):
            smi.gpus()
        with pytest.raises(metrics.Unreadable, match="still hanging"):
            smi.gpus()
        (asked,) = (tmp_path / "asked").read_text().split()
        os.kill(int(asked), signal.SIGKILL)


class TestErrors:
    def test_new_xids_are_counted_once_and_logged_with_their_cause(self, programs: Any, tmp_path: Path) -> None:
        programs("nvidia-smi", printing(TWO_GPUS))
        lines = "\n".join([journal_line(XID_79), journal_line(XID_45), journal_line("usb 1-1: new device"), "no json"])
        # Like journalctl, it prints the entries after the cursor: here, everything once.
        once = 'for last; do :; done; cursor=${last#*=}; [ -e "$cursor" ] && exit 1; : >"$cursor"'
        programs("journalctl", f"{once}\n{printing(lines)}")
        host = Host(tmp_path)
        assert host.values()["GpuErrors"] == 1  # not the clean-up after a killed process
        assert host.values()["GpuErrors"] == 0
        told = [line for line in host.written.lines if "event=xid" in line]
        assert told[0].startswith('<3>event=xid gpu=0000:00:1e.0 xid=79 counted=True cause="pid=1423')
        assert told[0].endswith('GPU has fallen off the bus."')
        assert "xid=45 counted=False" in told[1]

    def test_binary_message_is_parsed(self) -> None:
        assert [xid.code for xid in metrics.parse_xids([journal_line(list(XID_79.encode() + b"\xff"))])] == [79]

    def test_empty_kernel_log_is_no_error_but_an_unreadable_one_is(self, programs: Any, tmp_path: Path) -> None:
        programs("journalctl", "exit 1")  # as systemd 252 when no entry matches
        assert metrics.new_xids(tmp_path / "cursor") == []
        programs("journalctl", "echo No journal files were opened due to insufficient permissions. >&2; exit 1")
        with pytest.raises(metrics.Unreadable, match="insufficient permissions"):
            metrics.new_xids(tmp_path / "cursor")

    def test_memory_errors_count_once_and_again_after_a_driver_start(self, programs: Any, tmp_path: Path) -> None:
        programs("journalctl", "exit 1")

        def errors(total: int) -> Any:
            programs("nvidia-smi", printing(TWO_GPUS.replace("A10G, 0,", f"A10G, {total},")))
            return Host(tmp_path).values()["GpuErrors"]  # a new collector each time: a restart keeps the state

        assert [errors(total) for total in (0, 2, 2, 5, 1, 1)] == [0, 2, 0, 3, 1, 0]

    def test_each_missing_gpu_is_an_error_with_its_cause(self, programs: Any, tmp_path: Path) -> None:
        programs("journalctl", "exit 1")
        programs("nvidia-smi", printing(ONE_LOST.replace("A10G, 2", "A10G, 0")))
        host = Host(tmp_path)
        assert (host.values()["GpuCount"], host.values()["GpuErrors"]) == (1, 1)
        assert '<3>event=gpus result=failed cause="1 of 2 GPUs answer"' in host.written.lines
        programs("nvidia-smi", "exit 9")
        assert host.values() == {"GpuCount": 0, "GpuErrors": 2}

    def test_host_without_a_gpu_publishes_zero_and_no_error(self, programs: Any, tmp_path: Path) -> None:
        programs("journalctl", "exit 1")
        host = Host(tmp_path, expected_gpus=0, nvidia_smi="/nowhere/nvidia-smi")
        assert host.values() == {"GpuCount": 0, "GpuErrors": 0}
        assert any("no GPU" in line for line in host.written.lines)

    def test_throttling_is_logged_when_it_begins_and_ends(self, programs: Any, tmp_path: Path) -> None:
        programs("journalctl", "exit 1")
        host = Host(tmp_path)
        for output in (TWO_GPUS, TWO_GPUS, TWO_GPUS.replace("0x0000000000000060", "0x0000000000000000")):
            programs("nvidia-smi", printing(output))
            host.values()
        told = [line for line in host.written.lines if "event=throttle" in line]
        assert len(told) == 2
        assert "GPU 00000000:00:1c.0: software thermal slowdown, hardware thermal slowdown" in told[0]
        assert "result=ok" in told[1]


class TestModels:
    @pytest.mark.parametrize(
        ("answers", "expected"),
        [
            ([models((100, 100)), models((100, 100), (50, 50))], 1),
            ([models((100, 100)), models((100, 40))], 0),
            ([models((100, 0))], 0),
            ([models()], None),  # nothing is loaded: no value
            (["not json"], None),
            ([models((100, 100)), "not json"], 1),
        ],
    )
    def test_every_loaded_model_must_be_fully_on_a_gpu(
        self, served: Any, programs: Any, tmp_path: Path, answers: list[str], expected: int | None
    ) -> None:
        programs("journalctl", "exit 1")
        ports = [served({"/api/ps": answer}) for answer in answers]
        assert Host(tmp_path, expected_gpus=0, ollama_ports=ports).values().get("ModelOnGpu") == expected

    def test_model_on_the_cpu_is_logged_with_name_and_share(self, served: Any, programs: Any, tmp_path: Path) -> None:
        programs("journalctl", "exit 1")
        port = served({"/api/ps": models((1000, 400))})
        host = Host(tmp_path, expected_gpus=0, ollama_ports=[port])
        host.values()
        assert any(f"port {port}: gemma3:270m has 40 % on the GPU" in line for line in host.written.lines)


class TestGateway:
    def test_load_is_the_sum_over_live_servers(self) -> None:
        assert metrics.parse_page(PAGE, ["ollama"]) == metrics.Load(in_flight=4, queued=3, slots=4)

    def test_other_backends_do_not_count(self) -> None:
        assert metrics.parse_page(PAGE, ["ollama", "open_webui"]).slots == 4  # its one server is down
        with pytest.raises(metrics.Unreadable, match="no server of chat"):
            metrics.parse_page(PAGE, ["chat"])

    def test_missing_page_publishes_nothing_instead_of_zero(self, programs: Any, tmp_path: Path) -> None:
        programs("journalctl", "exit 1")
        host = Host(tmp_path, expected_gpus=0)
        host.collector.sample_gateway()
        host.collector.sample_gateway()
        assert {"InFlight", "Queued", "Slots"}.isdisjoint(host.values())
        assert sum("event=gateway_page" in line for line in host.written.lines) == 1

    def test_every_sample_is_published_once(self, served: Any, programs: Any, tmp_path: Path) -> None:
        programs("journalctl", "exit 1")
        host = Host(tmp_path, expected_gpus=0, gateway_page=f"http://127.0.0.1:{served({'/metrics': PAGE})}/metrics")
        for _ in range(3):
            host.collector.sample_gateway()
        assert host.values()["InFlight"] == [4, 4, 4]
        assert "InFlight" not in host.values()


def test_the_service_sends_the_contracts_names_units_and_dimensions(served: Any, programs: Any, tmp_path: Path) -> None:
    programs("journalctl", "exit 1")
    programs("nvidia-smi", printing(TWO_GPUS))
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    receiver.settimeout(20)
    configuration = render(
        tmp_path,
        {
            "gpu_metrics_environment": "staging",
            "gpu_metrics_gateway_page": f"http://127.0.0.1:{served({'/metrics': PAGE})}/metrics",
            "gpu_metrics_group": "ollama-gpu-staging-interactive",
            "gpu_metrics_instance_id": "i-0123456789abcdef0",
            "gpu_metrics_interval_seconds": 1,
            "gpu_metrics_ollama_ports": [served({"/api/ps": models((100, 100))})],
            "gpu_metrics_sample_seconds": 1,
        },
    )
    settings = json.loads(configuration.read_text())
    assert settings["agent_port"] == CONTRACT["ports"]["embedded_metrics"]
    configuration.write_text(json.dumps({**settings, "agent_port": receiver.getsockname()[1]}))

    program = command("gpu_metrics", "ollama-gpu-metrics")
    service = subprocess.Popen([*program, configuration, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        line = json.loads(receiver.recv(65535))
    finally:
        service.kill()
        service.wait()

    metadata = line["_aws"]
    assert metadata["LogGroupName"] == CONTRACT["log_groups"]["instance"].format(environment="staging")
    assert abs(metadata["Timestamp"] / 1000 - time.time()) < 60
    sent = {
        metric["Name"]: {"unit": metric["Unit"], "dimensions": directive["Dimensions"]}
        for directive in metadata["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    assert sent == OURS
    assert {directive["Namespace"] for directive in metadata["CloudWatchMetrics"]} == {CONTRACT["metrics"]["namespace"]}
    assert all(line[dimension] for metric in sent.values() for group in metric["dimensions"] for dimension in group)
    assert {name: line[name] for name in sent} == {
        "GpuCount": 2,
        "GpuErrors": 0,
        "InFlight": [4],
        "ModelOnGpu": 1,
        "Queued": [3],
        "Slots": [4],
    }


def test_missing_agent_is_logged_once_and_used_again_later() -> None:
    written = Written()
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", 0))
    port = receiver.getsockname()[1]
    receiver.close()
    agent = metrics.Agent(port, written.journal)
    for _ in range(4):
        agent.send("{}")
    assert len(written.lines) == 1
    assert f'event=agent result=failed cause="port {port}: Connection refused"' in written.lines[0]

    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", port))
    receiver.settimeout(5)
    agent.send("first")
    assert receiver.recv(100) == b"first"
    agent.send("second")
    assert "result=ok" in written.lines[-1]


def test_configuration_without_environment_has_no_group(tmp_path: Path) -> None:
    assert json.loads(render(tmp_path, {"gpu_metrics_instance_id": "i-0123456789abcdef0"}).read_text())["group"] == ""


def render(folder: Path, settings: dict[str, Any]) -> Path:
    """Return the role's configuration, rendered by Ansible."""
    written = folder / "metrics.json"
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable, "contract": CONTRACT},
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "tasks": [
            {
                "ansible.builtin.template": {
                    "src": str(ROLE / "templates" / "metrics.json.j2"),
                    "dest": str(written),
                    "mode": "0644",
                },
                "vars": {"__gpu_metrics_gpus": {"gpus": [{"uuid": ""}, {"uuid": ""}]}, **settings},
            }
        ],
    }
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(folder / "play.yml")]
    played = subprocess.run(command, capture_output=True, text=True)
    assert played.returncode == 0, played.stdout + played.stderr
    return written
