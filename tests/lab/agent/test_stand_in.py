"""The simulated CloudWatch agent in a container of the baked image, with a separate embedded AWS.

The sources are real: the gateway's HAProxy, ollama-gpu-metrics, systemd's journal, and the roles' configuration.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from ollama_gpu.core.aws import Aws
from ollama_gpu.core.errors import UserError
from ollama_gpu.environment.embedded_aws import EmbeddedAws
from ollama_gpu.local.lab import agent
from ollama_gpu.local.lab.agent.installation import UNIT
from ollama_gpu.local.lab.docker import LABEL, NETWORK, Docker
from ollama_gpu.local.lab.forward import Forward
from tests.fabric.driver import Driver

from .configurations import CONTRACT, render

REGION = "us-east-1"
ENVIRONMENT = "local"  # the environment with which the image's gateway was baked
GROUP = "ollama-gpu-test"
SECONDS = 5  # between two data points of a metric; 60 on AWS
AGENTS_CONFIGURATION = "/etc/ollama-gpu/cloudwatch-agent.json"
GROUPS = {name: CONTRACT["log_groups"][name].format(environment=ENVIRONMENT) for name in ("instance", "gateway")}
SYSTEMD = [
    *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cgroupns", "host", "--env", "container=docker"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp", "--volume", "/var/lib/docker"),  # noqa: S108
    *("--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
]

Client = Callable[[str], Any]


@dataclass(frozen=True)
class Host:
    """The instance under test: its container, and its id in the embedded AWS."""

    container: str
    instance: str
    docker: Docker

    def run(self, *command: str, text: str | None = None) -> str:
        return self.docker.output("exec", "--interactive", self.container, *command, text=text)

    def main_pid(self) -> int:
        return int(self.run("systemctl", "show", "--property=MainPID", "--value", UNIT))

    def ask_gateway(self, identity: str) -> str:
        """Send a chat that the log identifies as ``identity``, and return its status."""
        address = f"http://127.0.0.1:{CONTRACT['ports']['gateway']}/api/chat"
        body = json.dumps({"model": "gemma3:270m", "messages": []})
        options = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--header"]
        return self.run("curl", *options, f"X-Request-Id: {identity}", "--data", body, address)


@pytest.fixture(scope="module")
def docker() -> Docker:
    docker = Docker()
    if docker.version() is None:
        pytest.skip(f"needs a container engine: {docker.why_not()}")
    return docker


@pytest.fixture(scope="module")
def image(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> str:
    """This checkout's image, baked if it does not exist; the next deploy of this checkout reuses it."""
    driver = Driver(tmp_path_factory.mktemp("bake"))
    server = EmbeddedAws(driver.work / "embedded-aws")
    try:
        for command in (["lab", "supply"], ["bake", "--env", ENVIRONMENT]):
            made = driver.run(*command, "--json", seconds=1800)
            assert made.status == 0, made.err
        aws = Aws(REGION, server.start().url)
        (found,) = aws.ec2.describe_images(ImageIds=[made.json["image"]])["Images"]
    finally:
        server.stop()
    return str(next(tag["Value"] for tag in found["Tags"] if tag["Key"] == "ContainerImage"))


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    embedded = EmbeddedAws(tmp_path_factory.mktemp("embedded-aws"), REGION)
    yield embedded.start().url
    embedded.stop()


@pytest.fixture(scope="module")
def client(endpoint: str) -> Client:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    session = boto3.session.Session(region_name=REGION, **keys)
    return lambda service: session.client(service, endpoint_url=endpoint, config=Config(proxies={}))  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def instance(client: Client) -> str:
    """An instance of an Auto Scaling group, and the log groups that Terraform creates."""
    for name in GROUPS.values():
        client("logs").create_log_group(logGroupName=name)
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone=f"{REGION}a")["Subnet"]["SubnetId"]
    machine = ec2.register_image(Name="host", RootDeviceName="/dev/sda1")["ImageId"]
    data = {"ImageId": machine, "InstanceType": "g5.xlarge"}
    ec2.create_launch_template(LaunchTemplateName=GROUP, LaunchTemplateData=data)
    autoscaling = client("autoscaling")
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateName": GROUP, "Version": "1"},
    )

    def launched() -> Any:
        (group,) = autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
        return group["Instances"]

    return str(wait_for(launched)[0]["InstanceId"])


@pytest.fixture(scope="module")
def host(
    docker: Docker, image: str, endpoint: str, instance: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """The instance's container, booted, with the files that the roles write at boot."""
    docker.ensure_network()
    gateway, port = docker.gateway(), int(endpoint.rpartition(":")[2])
    name = f"dev-agent-{uuid.uuid4().hex[:8]}"
    options = ["--name", name, "--label", f"{LABEL}=test", "--network", NETWORK, "--add-host", f"aws:{gateway}"]
    try:
        with Forward((gateway, port), ("127.0.0.1", port)):
            docker.output("run", "--detach", *options, *SYSTEMD, image, "/sbin/init")
            started = Host(name, instance, docker)
            wait_for(lambda: docker.succeeds("exec", name, "systemctl", "is-active", "--quiet", "haproxy"), 60)
            service = (Path(__file__).parent / "metadata_service.py").read_text()
            started.run("sh", "-c", "cat >/run/metadata_service.py", text=service)
            docker.output("exec", "--detach", name, "python3", "/run/metadata_service.py", instance)
            configure(started, f"http://aws:{port}", tmp_path_factory.mktemp("configurations"))
            agent.ensure(name, docker)
            yield started
    finally:
        docker.remove(name)


def configure(host: Host, endpoint: str, folder: Path) -> None:
    written = render(
        folder,
        cloudwatch_agent_collection_seconds=SECONDS,
        cloudwatch_agent_environment=ENVIRONMENT,
        cloudwatch_agent_logs_endpoint=endpoint,
        cloudwatch_agent_metrics_endpoint=endpoint,
        cloudwatch_agent_region=REGION,
        gpu_metrics_environment=ENVIRONMENT,
        gpu_metrics_group=GROUP,
        gpu_metrics_instance_id=host.instance,
        gpu_metrics_interval_seconds=SECONDS,
    )
    for path, role in ((AGENTS_CONFIGURATION, "cloudwatch_agent"), ("/etc/ollama-gpu/metrics.json", "gpu_metrics")):
        host.run("sh", "-c", f"cat >{path}", text=json.dumps(written[role]))
    host.run("sh", "-c", "umask 027; echo 'step=learn result=ok' >/var/log/cloud-init-output.log")
    host.run("chgrp", "adm", "/var/log/cloud-init-output.log")
    host.run("systemctl", "restart", "ollama-gpu-metrics")


def wait_for(condition: Callable[[], Any], seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.2)
    return value


def messages(client: Client, group: str, part: str) -> list[dict[str, Any]]:
    """The events of a log group that contain ``part``."""
    found = client("logs").filter_log_events(logGroupName=GROUPS[group], limit=10_000)["events"]
    return [event for event in found if part in event["message"]]


def total(client: Client, name: str, statistic: str = "Sum", **dimensions: str) -> float | None:
    """A metric's statistic over the last ten minutes."""
    now = datetime.now(UTC)
    points = client("cloudwatch").get_metric_statistics(
        Namespace=CONTRACT["metrics"]["namespace"],
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(point[statistic] for point in points) if points else None


def test_a_gateway_log_line_arrives_once_and_counts_once(host: Host, client: Client) -> None:
    wait_for(lambda: host.main_pid())
    wait_for(lambda: listening(host))
    identities = [str(uuid.uuid4()) for _ in range(3)]
    before = total(client, "Requests", AutoScalingGroupName="local") or 0
    assert {host.ask_gateway(identity) for identity in identities} == {"503"}, "the container has no Ollama"
    for marker in (f"after {uuid.uuid4()}", f"later {uuid.uuid4()}"):  # sent in the same round, and in a later one
        host.run("logger", "-t", "test", marker)
        wait_for(lambda marker=marker: messages(client, "instance", marker))
    for identity in identities:
        (event,) = wait_for(lambda identity=identity: messages(client, "gateway", identity))
        assert event["logStreamName"] == host.instance
        assert messages(client, "instance", identity) == []
    assert total(client, "Requests", AutoScalingGroupName="local") == before + len(identities)
    assert total(client, "Rejected", AutoScalingGroupName="local") == before + len(identities)


def listening(host: Host) -> bool:
    port = CONTRACT["ports"]["embedded_metrics"]
    return f"127.0.0.1:{port}" in host.run("ss", "--udp", "--listening", "--numeric")


def test_the_journal_and_cloud_inits_output_arrive(host: Host, client: Client) -> None:
    wait_for(lambda: listening(host))
    marker = f"event=probe id={uuid.uuid4()}"
    wait_for(lambda: "replacing the CloudWatch agent" in host.run("journalctl", "--unit", UNIT, "--output=cat"))
    host.run("logger", "-t", "test", marker)
    (event,) = wait_for(lambda: messages(client, "instance", marker))
    body = json.loads(event["message"])["body"]
    assert (body["MESSAGE"], body["SYSLOG_IDENTIFIER"]) == (marker, "test")
    (event,) = wait_for(lambda: messages(client, "instance", "step=learn"))
    assert (event["message"], event["logStreamName"]) == ("step=learn result=ok", host.instance)


@pytest.mark.parametrize("name", ["cpu_usage_active", "mem_used_percent", "disk_used_percent"])
def test_host_metrics_arrive_for_the_group_only(host: Host, client: Client, name: str) -> None:
    value = wait_for(lambda: total(client, name, "Maximum", AutoScalingGroupName=GROUP))
    assert 0 < value <= 100
    listed = client("cloudwatch").list_metrics(MetricName=name)["Metrics"]
    assert [metric["Dimensions"] for metric in listed] == [[{"Name": "AutoScalingGroupName", "Value": GROUP}]]


@pytest.mark.parametrize("name", ["InFlight", "Queued", "Slots", "GpuCount", "GpuErrors"])
def test_unit_metrics_arrive_for_the_group_and_for_the_instance(host: Host, client: Client, name: str) -> None:
    for dimensions in ({}, {"InstanceId": host.instance}):
        dimension_set = {"AutoScalingGroupName": GROUP, **dimensions}
        value = wait_for(
            lambda dimension_set=dimension_set: [total(client, name, "Maximum", **dimension_set)] != [None]
        )
        assert value


def test_no_gpu_metrics_are_invented(host: Host, client: Client) -> None:
    wait_for(lambda: total(client, "mem_used_percent", "Maximum", AutoScalingGroupName=GROUP))
    listed = {metric["MetricName"] for metric in client("cloudwatch").list_metrics()["Metrics"]}
    assert not [name for name in listed if name.startswith("nvidia")]
    assert total(client, "GpuCount", "Maximum", AutoScalingGroupName=GROUP) == 0


def test_an_alarm_on_arriving_metrics_notifies_a_subscriber(host: Host, client: Client) -> None:
    topic = client("sns").create_topic(Name="alarms")["TopicArn"]
    queue = client("sqs").create_queue(QueueName="alarms")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    client("cloudwatch").put_metric_alarm(
        AlarmName="rejected",
        Namespace=CONTRACT["metrics"]["namespace"],
        MetricName="Rejected",
        Dimensions=[{"Name": "AutoScalingGroupName", "Value": "local"}],
        Statistic="Sum",
        Period=10,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[topic],
    )
    wait_for(lambda: listening(host))

    def receive() -> Any:
        host.ask_gateway(str(uuid.uuid4()))
        return client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages")

    (received,) = wait_for(receive)
    message = json.loads(json.loads(received["Body"])["Message"])
    assert (message["AlarmName"], message["NewStateValue"]) == ("rejected", "ALARM")
    assert message["Trigger"]["MetricName"] == "Rejected"


def test_the_agent_runs_unprivileged_and_is_not_started_twice(host: Host, docker: Docker) -> None:
    pid = wait_for(host.main_pid)
    agent.ensure(host.container, docker)
    assert host.main_pid() == pid
    status = dict(line.split(":", 1) for line in host.run("cat", f"/proc/{pid}/status").splitlines())
    assert status["Uid"].split()[0] != "0"


def test_a_killed_agent_restarts_and_sends_nothing_twice(host: Host, client: Client) -> None:
    wait_for(lambda: messages(client, "instance", "step=learn"))
    pid = wait_for(host.main_pid)
    host.run("kill", "-9", str(pid))
    wait_for(lambda: host.main_pid() not in (0, pid))
    wait_for(lambda: listening(host))
    host.run("sh", "-c", "echo step=ready >>/var/log/cloud-init-output.log")
    wait_for(lambda: messages(client, "instance", "step=ready"))
    assert len(messages(client, "instance", "step=learn")) == 1


def test_the_agent_reloads_a_changed_configuration(host: Host, client: Client) -> None:
    changed = json.loads(host.run("cat", AGENTS_CONFIGURATION))
    changed["metrics"]["namespace"] = "Changed"
    host.run("sh", "-c", f"cat >{AGENTS_CONFIGURATION}", text=json.dumps(changed))
    wait_for(lambda: client("cloudwatch").list_metrics(Namespace="Changed")["Metrics"])


def test_a_missing_container_is_an_error(docker: Docker) -> None:
    with pytest.raises(UserError):
        agent.ensure(f"dev-agent-{uuid.uuid4().hex}", docker)
