"""Attacks from outside, from another container of the network, and with an instance's own role."""

from __future__ import annotations

import json
import re
import secrets
import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError

from ollama_gpu.core.aws import code_of
from ollama_gpu.local.lab import names
from tests.serving.conftest import Serving
from tests.serving.traffic import Session

NO_BODY: dict[str, str] = {}


class Hidden(dict[str, str]):
    """Secret values and their names; hides them when a failing test prints its arguments."""

    def __repr__(self) -> str:
        return f"{len(self)} secrets"


@pytest.fixture(scope="module")
def outsider(serving: Serving) -> Session:
    """A session without an account."""
    return Session(serving.chat_address)


@pytest.fixture(scope="module")
def secret_texts(serving: Serving) -> Hidden:
    """Every secret value of the environment, with its name."""
    contract, aws = serving.context.contract, serving.context.aws
    wanted = {key: contract.secret(key, "local") for key in contract.secrets}
    fabric = json.loads(aws.ssm.get_parameter(Name=contract.parameter("fabric", "local"))["Parameter"]["Value"])
    wanted["master"] = fabric["database"]["master_secret_arn"]
    found = Hidden()
    for key, name in wanted.items():
        text = aws.secretsmanager.get_secret_value(SecretId=name)["SecretString"]
        values = json.loads(text) if text.startswith("{") else {"value": text}
        found.update(
            {value: f"{key}.{field}" for field, value in values.items() if value and field not in ("username", "email")}
        )
    assert len(found) >= 5
    return found


@pytest.fixture(scope="module")
def instance(serving: Serving) -> str:
    return serving.healthy()[0]


@pytest.fixture(scope="module")
def role(serving: Serving, instance: str) -> boto3.Session:
    """The credentials of an instance's role, as an attacker on the instance has them."""
    folder = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
    token = serving.run(
        instance, "curl", "-sf", "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60",
        "http://169.254.169.254/latest/api/token",
    )  # fmt: skip
    curl = ("curl", "-sf", "-H", f"X-aws-ec2-metadata-token: {token}")
    keys = json.loads(serving.run(instance, *curl, folder + serving.run(instance, *curl, folder)))
    return boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["Token"],
        region_name=serving.context.environment.region,
    )


# From outside
@pytest.mark.parametrize(
    "path",
    ["/healthz", "/healthz/", "/metrics", "/ready", "/health", "/details", "/api/ps", "/api/tags", "/v1/models",
     "/stats", "/api/show"],
)  # fmt: skip
def test_the_front_door_exposes_no_ollama_metrics_or_health_pages(outsider: Session, path: str) -> None:
    status, content = outsider.ask("GET", path)
    text = content if isinstance(content, str) else json.dumps(content)
    # For an unknown page Open WebUI returns its single-page application, which then reports the error.
    page = status == 200 and text.lstrip().lower().startswith("<!doctype html>")
    assert page or status in (401, 403, 404, 405), f"{status}: {text[:200]}"
    for trace in ("Ollama is running", '"models"', "size_vram", "haproxy_", "not ready", "HELP"):
        assert trace not in text


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/api/pull", "/v1/chat/completions", "/api/embed"])
def test_a_model_is_not_available_without_an_account(outsider: Session, path: str) -> None:
    body = {"model": "gemma3:270m", "prompt": "1", "messages": [{"role": "user", "content": "1"}], "stream": False}
    status, content = outsider.ask("POST", path, body)
    assert status in (401, 403, 404, 405), content
    assert "response" not in json.dumps(content)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/ollama/api/tags"), ("GET", "/ollama/api/ps"), ("POST", "/api/chat/completions"),
     ("GET", "/api/models"), ("GET", "/api/v1/users/"), ("GET", "/api/v1/chats/"), ("GET", "/api/v1/files/"),
     ("GET", "/ollama/config"), ("GET", "/openai/config")],
)  # fmt: skip
def test_open_webui_requires_sign_in(outsider: Session, method: str, path: str) -> None:
    status, content = outsider.ask(method, path, {"model": "gemma3:270m", "messages": []} if method == "POST" else None)
    assert status in (401, 403), content


@pytest.mark.parametrize(
    "path", ["/ollama/api/generate", "/ollama/api/delete", "/ollama/api/pull", "/ollama/v1/models"]
)
def test_the_passthrough_to_ollama_is_closed(outsider: Session, path: str) -> None:
    assert outsider.ask("POST", path, NO_BODY)[0] == 403


def test_sign_up_is_refused(outsider: Session) -> None:
    account = {"name": "x", "email": f"{secrets.token_hex(4)}@example.org", "password": secrets.token_urlsafe(16)}
    status, content = outsider.ask("POST", "/api/v1/auths/signup", account)
    assert status == 403, content
    assert outsider.ask("GET", "/api/config")[1]["features"]["enable_signup"] is False


def test_plain_http_only_redirects_to_https(serving: Serving) -> None:
    front = serving.docker.container(f"{names.prefix(serving.context)}-front-door")
    assert front is not None
    port = int(front["HostConfig"]["PortBindings"]["80/tcp"][0]["HostPort"])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"POST /api/v1/auths/signin HTTP/1.0\r\nHost: chat\r\nContent-Length: 0\r\n\r\n")
        answer = connection.recv(4096).decode()
    assert re.match(r"HTTP/1\.\d 301 ", answer)
    assert "location: https://" in answer.lower()


@pytest.mark.parametrize(
    ("version", "accepted"),
    [(ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
     (ssl.TLSVersion.TLSv1_3, True)],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_below_1_2_is_refused(serving: Serving, version: ssl.TLSVersion, accepted: bool) -> None:
    address = urlsplit(serving.chat_address.url)
    trust = ssl.create_default_context(cafile=str(serving.chat_address.authority))
    trust.set_ciphers("ALL:@SECLEVEL=0")  # else the client itself would refuse
    trust.minimum_version = trust.maximum_version = version
    with socket.create_connection((str(address.hostname), address.port or 443), timeout=5) as connection:
        if accepted:
            with trust.wrap_socket(connection, server_hostname=address.hostname) as secure:
                assert secure.version() == version.name.replace("_", ".")
        else:
            with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
                trust.wrap_socket(connection, server_hostname=address.hostname)


# From another machine of the network
def test_an_instance_exposes_only_the_front_door_to_its_network(serving: Serving, instance: str) -> None:
    metadata = serving.docker.container(f"{serving.container(instance)}-metadata")
    assert metadata is not None
    address = metadata["NetworkSettings"]["Networks"][serving.network]["IPAddress"]
    ports = serving.context.contract.ports
    wanted = [
        ports[name] for name in ("front_door", "gateway", "ollama_first", "open_webui_first", "metrics", "health")
    ]
    wanted += [ports["embedded_metrics"], 22, 80]
    script = (
        "import socket, sys\n"
        "for port in sys.argv[2:]:\n"
        "    with socket.socket() as probe:\n"
        "        probe.settimeout(2)\n"
        "        print(port, probe.connect_ex((sys.argv[1], int(port))))\n"
    )
    output = serving.docker.output(
        "run", "--rm", f"--network={serving.network}", "--label=ollama-gpu.lab=trial", "--entrypoint=python3",
        metadata["Config"]["Image"], "-c", script, address, *map(str, wanted),
    )  # fmt: skip
    reached = {int(line.split()[0]) for line in output.splitlines() if line.endswith(" 0")}
    assert reached == {ports["front_door"]}


# Secrets
def test_no_secret_is_in_container_descriptions(serving: Serving, secret_texts: Hidden) -> None:
    prefix = f"{names.prefix(serving.context)}-"
    containers = [name for name in serving.docker.ours("container") if name.startswith(prefix)]
    assert len(containers) >= 6
    _no_secret(secret_texts, "docker inspect", serving.docker.output("inspect", *containers))
    for each in serving.instances():
        inner = serving.run(each, "sh", "-c", "docker inspect $(docker ps -aq)")
        assert "open-webui" in inner
        _no_secret(secret_texts, f"docker inspect in {each}", inner)


def test_no_secret_is_on_a_command_line(serving: Serving, secret_texts: Hidden) -> None:
    for each in serving.instances():
        listed = serving.run(each, "ps", "-eww", "-o", "args")
        assert "haproxy" in listed
        _no_secret(secret_texts, f"ps in {each}", listed)
    _no_secret(
        secret_texts, "ps of the stores", serving.docker.output("exec", serving.stores, "ps", "-eww", "-o", "args")
    )


def test_no_secret_is_in_a_log(serving: Serving, secret_texts: Hidden) -> None:
    for each in serving.instances():
        journal = serving.run(
            each, "sh", "-c", "journalctl --no-pager --all --output=export | LC_ALL=C tr -cd '[:print:]\\n'"
        )
        assert "ollama-gpu" in journal
        _no_secret(secret_texts, f"journal of {each}", journal)
        files = serving.run(each, "sh", "-c", "cat /var/log/cloud-init.log /var/log/cloud-init-output.log")
        assert "Cloud-init" in files
        _no_secret(secret_texts, f"cloud-init of {each}", files)
    prefix = f"{names.prefix(serving.context)}-"
    for container in (f"{prefix}data", f"{prefix}front-door"):
        _no_secret(secret_texts, container, serving.docker.output("logs", container))
    log = serving.context.paths.work / "lab" / "local" / "follow.log"
    _no_secret(secret_texts, log.name, log.read_text(encoding="utf-8"))
    for group in ("instance", "gateway"):
        name = serving.context.contract.log_group(group, "local")
        pages = serving.context.aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=name)
        _no_secret(secret_texts, name, "\n".join(event["message"] for page in pages for event in page["events"]))


def test_no_secret_is_in_user_data_or_on_a_disk(serving: Serving, secret_texts: Hidden) -> None:
    for each in serving.instances():
        attribute = serving.context.aws.ec2.describe_instance_attribute(InstanceId=each, Attribute="userData")
        assert attribute["UserData"].get("Value")
        kept = serving.run(
            each, "sh", "-c", "cat /var/lib/cloud/instance/user-data.txt /etc/ollama-gpu/*.json /etc/open-webui/*"
        )
        assert "ollama-gpu" in kept
        _no_secret(secret_texts, f"files of {each}", kept)


def _no_secret(secret_texts: Hidden, where: str, text: str) -> None:
    """Fail with the secret's name, never its value."""
    leaked = sorted({name for value, name in secret_texts.items() if value in text})
    if leaked:
        pytest.fail(f"{where} contains {leaked}", pytrace=False)


# With an instance's role
def test_the_metadata_service_version_1_is_disabled(serving: Serving, instance: str) -> None:
    curl = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}")
    assert serving.run(instance, *curl, "http://169.254.169.254/latest/meta-data/instance-id") == "401"


@pytest.fixture
def other_environment(serving: Serving) -> Iterator[dict[str, str]]:
    """A secret and a parameter of another environment in the same account."""
    aws, contract = serving.context.aws, serving.context.contract
    name = contract.secret("database", f"trial-{secrets.token_hex(3)}")
    parameter = contract.parameter("fabric", f"trial-{secrets.token_hex(3)}")
    aws.secretsmanager.create_secret(Name=name, SecretString="another environment's")
    aws.ssm.put_parameter(Name=parameter, Value="another environment's", Type="String")
    yield {"secret": name, "parameter": parameter}
    aws.secretsmanager.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    aws.ssm.delete_parameter(Name=parameter)


def test_the_role_reads_only_the_secrets_of_its_own_environment(
    serving: Serving, role: boto3.Session, other_environment: dict[str, str]
) -> None:
    client = _client(serving, role, "secretsmanager")
    own = serving.context.contract.secret("webui_secret_key", "local")
    assert client.get_secret_value(SecretId=own)["SecretString"]
    _denied(lambda: client.get_secret_value(SecretId=other_environment["secret"]))
    _denied(lambda: client.put_secret_value(SecretId=own, SecretString="mine"))


def test_the_role_reads_only_the_parameters_of_its_own_environment(
    serving: Serving, role: boto3.Session, other_environment: dict[str, str]
) -> None:
    client = _client(serving, role, "ssm")
    own = serving.context.contract.parameter("fabric", "local")
    assert client.get_parameter(Name=own)["Parameter"]["Value"]
    _denied(lambda: client.get_parameter(Name=other_environment["parameter"]))
    _denied(lambda: client.put_parameter(Name=own, Value="mine", Type="String", Overwrite=True))


def test_the_role_writes_metrics_of_one_namespace_only(serving: Serving, role: boto3.Session) -> None:
    client = _client(serving, role, "cloudwatch")
    datum: list[dict[str, Any]] = [{"MetricName": "Trial", "Value": 1.0}]
    client.put_metric_data(Namespace=serving.context.contract.metrics.namespace, MetricData=datum)
    _denied(lambda: client.put_metric_data(Namespace="AWS/ApplicationELB", MetricData=datum))


def test_the_role_controls_neither_the_fleet_nor_other_roles(
    serving: Serving, role: boto3.Session, instance: str
) -> None:
    scaling = _client(serving, role, "autoscaling")
    _denied(lambda: scaling.set_desired_capacity(AutoScalingGroupName=serving.group, DesiredCapacity=4))
    _denied(lambda: _client(serving, role, "ec2").terminate_instances(InstanceIds=[instance]))
    _denied(lambda: _client(serving, role, "iam").list_roles())


def _client(serving: Serving, role: boto3.Session, service: str) -> Any:
    return role.client(service, endpoint_url=serving.context.aws.endpoint)  # type: ignore[call-overload]


def _denied(call: Any) -> None:
    with pytest.raises(ClientError) as refused:
        call()
    assert code_of(refused.value) in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"), refused.value
