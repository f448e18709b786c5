"""The stand-in sends each metric of the contract that needs no GPU to CloudWatch, where it scales the fleet."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from ollama_gpu.local.lab.agent.stand_in import configuration, embedded_metrics
from ollama_gpu.local.lab.agent.stand_in.outbox import Outbox
from ollama_gpu.local.lab.agent.stand_in.program import StandIn
from tests.embedded.local.autoscaling_fabric import Fabric, fabric
from tests.lab.agent.configurations import CONTRACT, render
from tests.unit.collection.gateway_bench import ANSIBLE, Gateway, wait_for
from tests.unit.collection.programs import load

__all__ = ["fabric"]

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not ANSIBLE, reason="needs ansible-playbook, which renders the roles' templates"),
]

REGION = "us-east-1"
ENVIRONMENT = "test"
GROUP = "ollama-gpu-test-interactive"  # the bench's gateway's
MODEL = "gemma3:270m"
METRICS = CONTRACT["metrics"]
LOG_GROUPS = [CONTRACT["log_groups"][name].format(environment=ENVIRONMENT) for name in ("instance", "gateway")]
# Metrics of GPUs, and those that CloudWatch computes.
ABSENT = {
    name for name, metric in METRICS["names"].items() if name.startswith("nvidia") or metric["made_by"] == "metric_math"
}

gpu_metrics = load("gpu_metrics", "ollama-gpu-metrics")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The roles' configurations for an instance, with a placeholder for its ID."""
    return render(
        tmp_path_factory.mktemp("configurations"),
        cloudwatch_agent_environment=ENVIRONMENT,
        cloudwatch_agent_region=REGION,
        gpu_metrics_environment=ENVIRONMENT,
        gpu_metrics_group=GROUP,
        gpu_metrics_instance_id="{instance}",
    )


@pytest.fixture
def gateway(haproxy: str, tmp_path: Path) -> Iterator[Gateway]:
    running = Gateway(tmp_path, gateway_slots=2)
    try:
        running.start(haproxy)
        yield running
    finally:
        running.stop()


@pytest.fixture
def ollama() -> Iterator[int]:
    """The port of a server that answers like Ollama with a model on the processor."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"models": [{"name": MODEL, "size": 10, "size_vram": 0}]}).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


class Errors:
    """The errors that a stand-in has reported, without those that it has recovered from."""

    def __init__(self) -> None:
        self.present: dict[str, str] = {}

    def __call__(self, subject: str, error: str | None) -> None:
        if error:
            self.present[subject] = error
        else:
            self.present.pop(subject, None)


def stand_in(document: dict[str, Any], instance: str, state: Path) -> tuple[StandIn, Errors]:
    errors = Errors()

    def client(service: str, _endpoint: str | None) -> Any:
        return boto3.client(service, REGION)  # type: ignore[call-overload]

    return StandIn(configuration.read(document, instance), instance, client, state, errors), errors


def make_log_groups() -> None:
    for name in LOG_GROUPS:
        boto3.client("logs", REGION).create_log_group(logGroupName=name)


def statistics(name: str, dimensions: dict[str, str]) -> list[tuple[str, float]]:
    """Return unit and maximum of a metric's periods."""
    now = datetime.now(UTC)
    points = boto3.client("cloudwatch", REGION).get_metric_statistics(
        Namespace=METRICS["namespace"],
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Maximum"],
    )["Datapoints"]
    return [(point["Unit"], point["Maximum"]) for point in points]


def test_every_metric_without_a_gpu_matches_the_contract(
    fabric: Fabric, gateway: Gateway, ollama: int, written: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    make_log_groups()
    fabric.asg.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=fabric.subnets[0],
        LaunchTemplate=fabric.specification(),
    )
    fabric.tick(times=3)
    (instance,) = (each["InstanceId"] for each in fabric.running())

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    document = written["cloudwatch_agent"]
    document["logs"]["metrics_collected"]["emf"]["service_address"] = f"udp://127.0.0.1:{port}"
    document["logs"]["logs_collected"] = {}  # not this machine's journal
    document["metrics"]["metrics_collected"]["disk"]["resources"] = ["/"]
    running, errors = stand_in(document, instance, tmp_path)
    running.start()

    sources = [gateway.logged(gateway.ask("/api/chat", {"model": MODEL}))]
    settings = {
        **written["gpu_metrics"],
        "instance_id": instance,
        "gateway_page": f"http://127.0.0.1:{gateway.ports['metrics']}/metrics",
        "ollama_ports": [ollama],
    }
    collector = gpu_metrics.Collector(settings, gpu_metrics.Journal([].append), tmp_path)
    collector.sample_gateway()
    values, properties = collector.collect()
    sources.append(json.loads(gpu_metrics.document(settings, values, properties, time.time())))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for source in sources:
            sender.sendto(json.dumps(source).encode(), ("127.0.0.1", port))

    def flushed() -> bool:
        running.send_logs()
        return bool(statistics("GpuCount", {"AutoScalingGroupName": GROUP}))

    wait_for(flushed)
    running.send_metrics()
    time.sleep(0.2)  # processor usage covers the time between two readings
    running.send_metrics()
    assert errors.present == {}

    names = {"AutoScalingGroupName": GROUP, "InstanceId": instance, "Model": MODEL}
    for name, metric in METRICS["names"].items():
        for dimensions in metric["dimensions"]:
            found = statistics(name, {each: names[each] for each in dimensions})
            assert {unit for unit, _ in found} == (set() if name in ABSENT else {metric["unit"]}), (name, dimensions)
    listed = boto3.client("cloudwatch", REGION).list_metrics()["Metrics"]
    expected = sum(len(metric["dimensions"]) for name, metric in METRICS["names"].items() if name not in ABSENT)
    assert len(listed) == expected, "no other metrics"


class Fleet:
    """The instances in service, each sending its gateway's load every minute through a stand-in's outbox."""

    def __init__(self, fabric: Fabric, settings: dict[str, Any], state: Path) -> None:
        self._fabric = fabric
        self._settings = settings | {"group": "fleet"}
        self._outbox = Outbox(state / "positions.json")
        self._logs = boto3.client("logs", REGION)
        self.sizes = [self.size]

    @property
    def size(self) -> int:
        return int(self._fabric.group()["DesiredCapacity"])

    def minute(self, in_flight: int, queued: int, slots: int = 4) -> None:
        """Simulate a minute with this load on each instance."""
        self._fabric.tick(30)
        for instance in self._fabric.instances():
            if instance["LifecycleState"] == "InService":
                settings = self._settings | {"instance_id": instance["InstanceId"]}
                values = {"InFlight": [in_flight] * 12, "Queued": [queued] * 12, "Slots": [slots] * 12}
                line = gpu_metrics.document(settings, values, {}, self._fabric.now.timestamp())
                event = embedded_metrics.event(line, instance["InstanceId"])
                assert event is not None
                self._outbox.put(event)
        self._outbox.flush(self._logs)
        self._fabric.tick(30)
        self.sizes.append(self.size)


def put_inference_load(fabric: Fabric, target: float) -> None:
    """Create the scaling policy of terraform/modules/fleet/scaling.tf."""

    def metric(identity: str, name: str) -> dict[str, Any]:
        one = {
            "Namespace": METRICS["namespace"],
            "MetricName": name,
            "Dimensions": [{"Name": "AutoScalingGroupName", "Value": "fleet"}],
        }
        return {"Id": identity, "MetricStat": {"Metric": one, "Stat": "Average"}, "ReturnData": False}

    load = {
        "Id": "load",
        "Expression": "100 * (in_flight + queued) / slots",
        "Label": "InferenceLoad",
        "ReturnData": True,
    }
    fabric.asg.put_scaling_policy(
        AutoScalingGroupName="fleet",
        PolicyName="inference-load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={
            "TargetValue": target,
            "CustomizedMetricSpecification": {
                "Metrics": [
                    metric("in_flight", "InFlight"),
                    metric("queued", "Queued"),
                    metric("slots", "Slots"),
                    load,
                ]
            },
        },
    )


def test_load_scales_out_to_max_and_idleness_scales_in_to_min(
    fabric: Fabric, written: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    make_log_groups()
    fabric.create(2, 4, 2, DefaultInstanceWarmup=60)
    fabric.settle()
    fabric.tick(3600)
    fabric.now = fabric.now.replace(second=0) + timedelta(minutes=1)
    put_inference_load(fabric, 70)
    fleet = Fleet(fabric, written["gpu_metrics"], tmp_path)

    for _ in range(5):
        fleet.minute(in_flight=2, queued=0)
    assert set(fleet.sizes) == {2}, "50 % is below the target"
    for _ in range(6):
        fleet.minute(in_flight=4, queued=0)
    assert fleet.size > 2, "100 % is above the target"
    for _ in range(15):
        fleet.minute(in_flight=4, queued=8)
    assert fleet.size == 4
    grown = len(fleet.sizes)
    for _ in range(50):
        fleet.minute(in_flight=0, queued=0)
    assert fleet.size == 2
    assert min(fleet.sizes) == 2
    assert max(fleet.sizes) == 4
    assert fleet.sizes[grown:] == sorted(fleet.sizes[grown:], reverse=True)


def test_fleet_without_metrics_keeps_size(fabric: Fabric, written: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    make_log_groups()
    fabric.create(2, 4, 4, DefaultInstanceWarmup=60)
    fabric.settle()
    fabric.tick(3600)
    put_inference_load(fabric, 70)
    fleet = Fleet(fabric, written["gpu_metrics"], tmp_path)
    fleet.minute(in_flight=0, queued=0)
    fabric.tick(60, times=40)
    assert fleet.size == 4
