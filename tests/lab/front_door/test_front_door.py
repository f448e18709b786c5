"""The front door behaves as the load balancer in the embedded AWS, with real targets behind it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import requests

from ollama_gpu.core.errors import UserError
from ollama_gpu.local.lab import front_door
from ollama_gpu.local.lab.front_door import FrontDoor

from .conftest import NAME, Lab


@pytest.fixture(autouse=True)
def _healthy(lab: Lab) -> Iterator[None]:
    """Every test starts with two healthy targets, and none restarts the front door."""
    lab.until_healthy()
    began = (lab.docker.container(NAME) or {})["State"]["StartedAt"]
    yield
    assert (lab.docker.container(NAME) or {})["State"]["StartedAt"] == began


class Stream:
    """A stream of about four seconds that runs in the background; ``text`` has its lines after the end."""

    def __init__(self, lab: Lab) -> None:
        self.session = lab.session()
        self._answer = self.session.get(f"{lab.url}/stream", stream=True, timeout=30)
        self._lines = self._answer.iter_lines(chunk_size=1)
        self.target = next(self._lines).decode()
        self.text: list[str] = []
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def end(self) -> list[str]:
        self._thread.join(20)
        return self.text

    def _read(self) -> None:
        with contextlib.suppress(requests.exceptions.ChunkedEncodingError):  # the stream was cut
            for line in self._lines:
                self.text.append(line.decode())


def target_of_new_client(lab: Lab) -> str:
    """The target that answers a new client."""
    name: str = lab.session().get(f"{lab.url}/", timeout=5).json()["name"]
    return name


def add_rule(lab: Lab) -> str:
    """Add a rule that refuses a fleet's requests, and return its ARN."""
    made = lab.aws.elbv2.create_rule(
        ListenerArn=lab.listener,
        Priority=7,
        Conditions=[{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Fleet", "Values": ["bat*"]}}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "410", "MessageBody": "batch"}}],
    )
    return made["Rules"][0]["RuleArn"]


def test_a_target_is_initial_until_its_first_good_check(lab: Lab) -> None:
    assert lab.target_states() == dict.fromkeys(lab.instances, "healthy")
    lab.aws.elbv2.deregister_targets(TargetGroupArn=lab.target_group, Targets=[{"Id": lab.instances[1]}])
    lab.follow()
    lab.aws.elbv2.register_targets(TargetGroupArn=lab.target_group, Targets=[{"Id": lab.instances[1]}])
    assert lab.follow()[lab.instances[1]].state == "initial"
    assert {target_of_new_client(lab) for _ in range(6)} == {lab.instances[0]}


def test_new_clients_are_spread_and_a_cookie_keeps_each_on_its_target(lab: Lab) -> None:
    assert {target_of_new_client(lab) for _ in range(10)} == {*lab.instances}
    session = lab.session()
    first = session.get(f"{lab.url}/", timeout=5)
    assert "AWSALB=" in first.headers["Set-Cookie"]
    assert "Max-Age=3600" in first.headers["Set-Cookie"]
    assert {session.get(f"{lab.url}/", timeout=5).json()["name"] for _ in range(10)} == {first.json()["name"]}


def test_http_redirects_to_the_published_address(lab: Lab) -> None:
    answer = lab.session().get(f"http://127.0.0.1:{lab.ports.http}/c/1?model=a", allow_redirects=False, timeout=5)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{lab.url}/c/1?model=a")


def test_clients_cannot_see_the_health_page(lab: Lab) -> None:
    for path in ("/healthz", "/healthz/details"):
        answer = lab.session().get(f"{lab.url}{path}", timeout=5)
        assert (answer.status_code, answer.text) == (404, "Not found")


def test_targets_get_the_clients_address_and_protocol(lab: Lab) -> None:
    sent = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "http"}
    headers = lab.session().get(f"{lab.url}/", headers=sent, timeout=5).json()["headers"]
    before, _, seen = headers["x-forwarded-for"].partition(", ")
    assert before == "192.0.2.7"
    assert socket.inet_aton(seen)
    assert headers["x-forwarded-proto"] == "https"
    assert headers["host"] == f"127.0.0.1:{lab.ports.https}"
    plain = lab.session().get(f"{lab.url}/", timeout=5).json()["headers"]
    assert plain["x-forwarded-for"] == seen


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "chat.example.org"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_tls_works_with_every_name_of_the_certificate(lab: Lab, name: str, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=lab.trust)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", lab.ports.https), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        assert secured.version() == version.name.replace("_", ".")


@pytest.mark.parametrize(
    ("oldest", "ciphers"),
    [(ssl.TLSVersion.TLSv1_1, "DEFAULT@SECLEVEL=0"), (ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256")],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_older_tls_and_weaker_ciphers_are_refused(lab: Lab, oldest: ssl.TLSVersion, ciphers: str) -> None:
    context = ssl.create_default_context(cafile=lab.trust)
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = oldest
    with (
        socket.create_connection(("127.0.0.1", lab.ports.https), timeout=5) as connection,
        pytest.raises(ssl.SSLError, match="alert"),
    ):
        context.wrap_socket(connection, server_hostname="localhost")


def test_an_upgraded_connection_carries_bytes_both_ways(lab: Lab) -> None:
    context = ssl.create_default_context(cafile=lab.trust)
    context.set_alpn_protocols(["http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", lab.ports.https), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secured,
    ):
        secured.sendall(
            b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += secured.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        secured.sendall(b"there and back")
        assert secured.recv(100) == b"there and back"


def test_a_request_is_not_retried(lab: Lab) -> None:
    session = lab.session()
    session.get(f"{lab.url}/", timeout=5)  # its cookie keeps the other requests on one target, which counts them
    counted = int(session.get(f"{lab.url}/dropped", timeout=5).text)
    others = lab.session().post(f"{lab.url}/", data="x", timeout=5, cookies=session.cookies)
    assert others.status_code == 502
    assert int(session.get(f"{lab.url}/dropped", timeout=5).text) == counted + 1


def test_a_killed_target_gets_no_traffic_until_it_recovers(lab: Lab) -> None:
    killed, other = lab.instances
    lab.docker.output("kill", lab.container(killed))
    try:
        found = lab.follow_until(lambda found: found[killed].state == "unhealthy" and found)
        assert found[killed].reason in ("Target.FailedHealthChecks", "Target.Timeout")
        assert found[other].state == "healthy"
        assert {target_of_new_client(lab) for _ in range(10)} == {other}
        assert lab.target_states()[killed] == "unhealthy"
    finally:
        lab.docker.output("start", lab.container(killed))
    lab.until_healthy()
    assert {target_of_new_client(lab) for _ in range(10)} == {*lab.instances}


def test_a_target_with_a_failing_check_is_unhealthy_with_the_reason(lab: Lab) -> None:
    failing = lab.instances[1]
    health = lab.folder / failing / "health"
    health.write_text("503")
    try:
        found = lab.follow_until(lambda found: found[failing].state == "unhealthy" and found)
        assert found[failing].reason == "Target.ResponseCodeMismatch"
    finally:
        health.unlink()
    lab.until_healthy()


def test_a_stuck_target_is_unhealthy_even_after_a_reload(lab: Lab) -> None:
    stuck, other = lab.instances
    lab.docker.output("pause", lab.container(stuck))
    try:
        found = lab.follow_until(lambda found: found[stuck].state == "unhealthy" and found)
        assert found[stuck].reason == "Target.Timeout"
        rule = add_rule(lab)  # HAProxy reloads for it
        try:
            assert lab.follow()[stuck].state == "unhealthy"
            assert {target_of_new_client(lab) for _ in range(6)} == {other}
        finally:
            lab.aws.elbv2.delete_rule(RuleArn=rule)
    finally:
        lab.docker.output("unpause", lab.container(stuck))
    lab.until_healthy()


def test_a_deregistered_target_finishes_its_streams_and_gets_no_new_requests(lab: Lab) -> None:
    stream = Stream(lab)
    left, other = stream.target, next(each for each in lab.instances if each != stream.target)
    lab.aws.elbv2.deregister_targets(TargetGroupArn=lab.target_group, Targets=[{"Id": left}])
    try:
        found = lab.follow()
        assert found[left].state == "draining"
        assert stream.session.cookies.get("AWSALB")
        assert stream.session.get(f"{lab.url}/", timeout=5).json()["name"] == other
        assert {target_of_new_client(lab) for _ in range(6)} == {other}
        text = stream.end()
        assert text[-1] == "end"
        assert set(text[:-1]) == {left}
        lab.follow_until(lambda found: left not in found, seconds=5)
    finally:
        stream.end()
        lab.aws.elbv2.register_targets(TargetGroupArn=lab.target_group, Targets=[{"Id": left}])


def test_a_stream_longer_than_the_deregistration_delay_is_cut(lab: Lab) -> None:
    attributes = [{"Key": "deregistration_delay.timeout_seconds", "Value": "1"}]
    lab.aws.elbv2.modify_target_group_attributes(TargetGroupArn=lab.target_group, Attributes=attributes)  # type: ignore[arg-type]
    stream = Stream(lab)
    lab.aws.elbv2.deregister_targets(TargetGroupArn=lab.target_group, Targets=[{"Id": stream.target}])
    try:
        lab.follow_until(lambda found: stream.target not in found, seconds=5)
        assert stream.end()[-1:] != ["end"]
    except Exception:
        stream.end()
        raise
    finally:
        attributes = [{"Key": "deregistration_delay.timeout_seconds", "Value": "20"}]
        lab.aws.elbv2.modify_target_group_attributes(TargetGroupArn=lab.target_group, Attributes=attributes)  # type: ignore[arg-type]
        lab.aws.elbv2.register_targets(TargetGroupArn=lab.target_group, Targets=[{"Id": stream.target}])


def test_a_new_rule_applies_at_once_without_cutting_streams(lab: Lab) -> None:
    stream = Stream(lab)
    rule = add_rule(lab)
    try:
        assert lab.states(lab.follow()) == ["healthy", "healthy"]
        assert lab.session().get(f"{lab.url}/", headers={"X-Fleet": "BATCH-1"}, timeout=5).status_code == 410
        assert lab.session().get(f"{lab.url}/", headers={"X-Fleet": "other"}, timeout=5).status_code == 200
        assert stream.end()[-1] == "end"
    finally:
        stream.end()
        lab.aws.elbv2.delete_rule(RuleArn=rule)


def test_the_target_groups_metrics_count_the_traffic(lab: Lab) -> None:
    lab.door.metrics()
    session = lab.session()
    for path in ("/", "/", "/healthz"):
        session.get(f"{lab.url}{path}", timeout=5)
    lab.session().post(f"{lab.url}/", data="x", timeout=5)
    seen = list(lab.door.metrics())
    deadline = time.monotonic() + 5
    while sum(each.requests for each in seen) < 3 and time.monotonic() < deadline:  # a request counts once it ends
        seen += lab.door.metrics()
    assert {each.target_group_arn for each in seen} == {lab.target_group}
    assert sum(each.requests for each in seen) == 3  # the load balancer itself answered the health page
    assert seen[-1].healthy == 2
    assert sum(each.answered[2] for each in seen) == 2
    assert sum(each.failed[5] for each in seen) == 1


def test_a_port_in_use_is_reported_with_the_remedy(lab: Lab) -> None:
    other = FrontDoor(
        f"{NAME}-2", lab.folder / "other", lab.door.authority, lab.door.image, lab.docker, lab.ports, NAME
    )
    view = front_door.read(lab.aws)
    view = replace(view, load_balancers=tuple(replace(each, dns_name="other") for each in view.load_balancers))
    with pytest.raises(UserError, match=f"Port ({lab.ports.https}|{lab.ports.http}) of 127.0.0.1 is taken") as raised:
        other.reconcile(view, {})
    assert "OLLAMA_GPU_HTTPS_PORT=" in raised.value.remedy
    assert lab.docker.container(f"{NAME}-2") is None
